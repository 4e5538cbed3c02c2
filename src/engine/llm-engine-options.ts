import type { GraphKind } from '../graph/graph-kind.js';
import type { Insert } from '../media/index.js';
import type { StepResult } from '../native/index.js';
import type { DraftModel } from '../runner/draft-model.js';
import type { ModelRunner, RunOptions } from '../runner/model-runner.js';
import type { BatchTokens } from '../runner/sampling-rows.js';
import type { SamplingPresets } from '../sampling/sampling-params.js';
import type { Batch } from '../scheduler/batch.js';
import type { DraftLength } from '../scheduler/drafting.js';
import type { SchedulerOptions } from '../scheduler/limits.js';
import type { SchedulerStats } from '../scheduler/stats.js';
import type { PrefixFacts } from '../step-inputs/index.js';
import type { Postprocessor } from '../tokenizer/postprocessor.js';
import type { Generation } from './generation.js';

/** One step as it was run, for figures. */
export interface StepReport {
  readonly kind: GraphKind;
  readonly sequences: number;
  /** That it computed, guesses included. */
  readonly tokens: number;
  /** That it brought. */
  readonly newTokens: number;
  /** Each of its sequences decodes: no prompts are computed beside them. */
  readonly isDecode: boolean;
  /** With the guessing before it. */
  readonly durationMs: number;
}

/** What the step loop needs of a runner; `ModelRunner` is one. */
export type StepRunner = Pick<ModelRunner, 'numBlocks' | 'blockSize' | 'addSequence' | 'removeSequence'> & {
  readonly prefixes?: PrefixFacts;
  readonly adapters?: readonly string[];
  readonly takesInserts?: boolean;
  checkShown?(inserts: readonly Insert[], tokens: number): void;
  readonly config: Pick<ModelRunner['config'], 'vocabSize' | 'embeddingRows' | 'eosTokenIds'>;
  run(batch: Batch, options?: RunOptions): Promise<BatchTokens & Partial<Pick<StepResult, 'logits'>>>;
};

/** What the step loop needs of who guesses ahead. */
export type Drafter = Pick<DraftModel, 'addSequence' | 'removeSequence' | 'guess'>;

export interface LLMEngineOptions extends Omit<SchedulerOptions, 'drafter'> {
  /**
   * Makes text of tokens and says when it ends. Absent: token ids in, token ids out, which end at the end tokens of the
   * model's configuration.
   */
  readonly postprocessor?: Postprocessor;
  /** What holds where a request says nothing. */
  readonly samplingDefaults?: SamplingPresets;
  /** Guesses ahead in place of each request's own text. Whoever made it disposes it, after the engine. */
  readonly draftModel?: Drafter;
  /** How far it guesses; as far as pays, by the times of the steps so far, when absent. */
  readonly draftLength?: DraftLength;
  /** Called after each step. What it throws is a warning of the process and ends the calls. */
  readonly onStep?: (step: StepReport) => void;
}

/** What an engine has done so far, and what it is about. */
export interface EngineStats extends SchedulerStats {
  /** How many times faster sequences decoded than without guessing ahead, as far as steps were measured; 1 without. */
  readonly draftSpeedUp: number;
}

export interface GenerateOptions {
  /** Ends the request: its iterator and its result reject with REQUEST_ABORTED. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds after which it is aborted with the cause REQUEST_TIMEOUT, whether it runs or waits; never when absent. */
  readonly timeoutMs?: number | undefined;
  /** Whose request it is: among requests that rank alike, clients get equal shares; with `round_robin` they take turns. */
  readonly client?: string | undefined;
  /** With the policy `priority`: lower numbers go first; 0 when absent. */
  readonly priority?: number | undefined;
  /** The LoRA adapter to answer with, by its name among the `loraModules` that were loaded; the model itself when absent. */
  readonly adapter?: string | undefined;
  /** A grammar of the runner's `grammars` that the answer obeys, also when `maxTokens` ends it. */
  readonly grammar?: number | undefined;
  /** Requests with different salts share nothing in the cache, and hence cannot tell by time what others asked. */
  readonly cacheSalt?: string | undefined;
  /** The blocks of its cache stay when it has ended, for requests that follow it: `LLMEngine.release` gives them back. */
  readonly keepsBlocks?: boolean | undefined;
  /** A request that has ended and keeps its blocks: the prompt's first tokens are those in them, and are not computed anew. */
  readonly follows?: Generation | undefined;
  /** What stands in the prompt that is no text, in order, for models that have an encoder of it. */
  readonly inserts?: readonly Insert[] | undefined;
}
