import type { AtbError } from '../errors.js';
import type { SampledLogprobs } from '../native/index.js';
import type { FinishReason } from '../scheduler/sequence.js';
import type { ChatTemplateOptions } from '../tokenizer/input-builder.js';
import type { OpenEngineOptions } from './open-engine-options.js';

/** How a checkpoint is loaded and what fits at once: the original's limits, with its defaults. */
export type PARunnerOptions = Omit<OpenEngineOptions, 'onStep'>;

export interface InferOptions {
  /** Texts go through the chat template as one user message. */
  readonly isChatModel?: boolean | undefined;
  /** Further variables for the chat template, as `enable_thinking`. */
  readonly chatTemplateKwargs?: ChatTemplateOptions['chatTemplateKwargs'] | undefined;
  /**
   * Called with each piece of an answer's text, and its prompt as the answer will show it; never after `infer` has
   * settled. What it throws is a warning of the process and ends the calls.
   */
  readonly onText?: ((index: number, text: string, prompt: string) => void) | undefined;
  /** Called when an answer is complete or has failed, whatever becomes of the others. What it throws likewise. */
  readonly onAnswer?: ((answer: PAAnswer) => void) | undefined;
  /** Ends all requests: answers that are not finished then fail with REQUEST_ABORTED. */
  readonly signal?: AbortSignal | undefined;
}

/** An answer, or what there is of one that failed. */
export interface PAAnswer {
  readonly index: number;
  /** The prompt as it was given: text, ids joined by commas, or the last message. */
  readonly prompt: string;
  /** Absent without a tokenizer. */
  readonly text?: string;
  readonly tokens: readonly number[];
  readonly promptTokens: number;
  /** `error` and `abort` come with an `error`, and only they. */
  readonly finishReason: FinishReason;
  /** Why it failed: REQUEST_ABORTED, REQUEST_NOT_FINITE, REQUEST_FAILED, NATIVE_ERROR, ENGINE_DISPOSED. */
  readonly error?: AtbError;
  /** Its own, with which a request alone gives the same tokens; absent for a greedy answer and for one that failed. */
  readonly seed?: number;
  readonly logprobs?: readonly SampledLogprobs[];
}
