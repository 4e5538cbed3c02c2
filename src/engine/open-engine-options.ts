import type { OpenModelOptions } from '../runner/open-model.js';
import type { RunnerOptions } from '../runner/runner-options.js';
import type { SamplingOptions } from '../sampling/sampling-params.js';
import type { PolicyName } from '../scheduler/policies/index.js';
import type { LLMEngineOptions } from './llm-engine-options.js';

/** The original's limits, with its defaults. */
export interface OpenEngineOptions
  extends Omit<OpenModelOptions, 'use'>,
    Omit<RunnerOptions, 'numBlocks' | 'largestStep' | 'shownPlaces'> {
  /** Sequences that run at once; 1 when absent. */
  readonly maxBatchSize?: number | undefined;
  /** Longest prompt, in tokens; 1024 when absent. */
  readonly maxInputLength?: number | undefined;
  /** Prompt and new tokens of one request; the sum of the two others, or the model's context if that is less, when absent. */
  readonly maxModelLen?: number | undefined;
  /** The cache is made for `maxBatchSize` sequences of this length, and for one of full length; maxModelLen when absent. */
  readonly usualModelLen?: number | undefined;
  /** New tokens of a request that says nothing else, and for the size of the cache; 20 when absent. */
  readonly maxOutputLength?: number | undefined;
  /** Prompts of one prefill step; maxBatchSize when absent. */
  readonly maxPrefillBatchSize?: number | undefined;
  /** Tokens of one prefill step; a batch of longest sequences when absent. Longer prompts are cut into chunks. */
  readonly maxPrefillTokens?: number | undefined;
  /** Cut prompts so that running sequences go on beside them; when absent, only where a prompt is longer than a step. */
  readonly chunkedPrefill?: boolean | undefined;
  /** Share blocks of the cache among sequences that begin alike; true when absent. */
  readonly prefixCaching?: boolean | undefined;
  /**
   * Tokens that are guessed ahead of each request, verified in the same step: by a draft model, or else looked up in the
   * request's own text. When absent, 6 with a draft model and 0 without.
   */
  readonly draftTokens?: number | undefined;
  /** Directory of a smaller model with the same tokenizer, which guesses ahead. */
  readonly draftModelPath?: string | undefined;
  /** Who goes first; `fcfs` when absent. */
  readonly policy?: PolicyName | undefined;
  /** Bytes for the KV cache; enough for maxBatchSize sequences of full length when absent. */
  readonly cacheBytes?: number | undefined;
  /** Bytes for weights and KV cache together; the cache takes what it needs of what the weights leave. */
  readonly memoryBudget?: number | undefined;
  /**
   * Of every request that says nothing else, over what generation_config.json presets: without `do_sample` there, and
   * without a temperature here, the best token each time.
   */
  readonly sampling?: SamplingOptions | undefined;
  readonly onStep?: LLMEngineOptions['onStep'] | undefined;
}
