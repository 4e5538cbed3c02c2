import type { GraphKind } from '../graph/graph-kind.js';
import type { PassSelection } from '../graph/passes/index.js';
import type { OpenModelOptions } from './open-model.js';

/** Tokens of a KV block when nobody says. */
export const DEFAULT_BLOCK_SIZE = 128;

/** Things that a step may show when nobody says. */
export const DEFAULT_SHOWN_PLACES = 8;

/** What bounds the steps of a run. */
export interface LargestStep {
  /** Tokens of a step with prompts. */
  readonly tokens: number;
  /** Sequences. */
  readonly batch: number;
  /** Tokens of a sequence. */
  readonly context: number;
  /** Guesses that a step checks of each sequence: the logits of each are wanted. 0 when absent. */
  readonly guesses?: number;
}

export interface RunnerOptions {
  /** Compute threads; one per available core when absent. */
  readonly threads?: number | undefined;
  /** Kernel table by name; the best that this machine runs when absent. */
  readonly isa?: string | undefined;
  /** Tokens of a KV block, a multiple of 32; 128 when absent. */
  readonly blockSize?: number | undefined;
  /** KV blocks to allocate: how many, or how many beside weights of so many bytes. */
  readonly numBlocks: number | ((weightBytes: number) => number);
  /** Pictures that a step may show, of models that keep these beside sequences; 8 when absent. */
  readonly shownPlaces?: number | undefined;
  /** The largest step, for which memory is planned at once; when absent, as steps come. */
  readonly largestStep?: LargestStep | undefined;
  /** Graph passes; all when absent. */
  readonly passes?: PassSelection | undefined;
  /** Time each operation of each step; see `profiler`. */
  readonly profile?: boolean | undefined;
  /**
   * Folder that keeps the weights as the engine holds them, so that a later start only copies them. It is made when it is
   * missing. What is wrong with it, or with what it holds, is a warning, and the weights are made of the checkpoint.
   */
  readonly weightsCache?: string | undefined;
  /** The addon's file; this package's own when absent. */
  readonly nativePath?: string | undefined;
  readonly onProgress?: ((loadedBytes: number, totalBytes: number) => void) | undefined;
  /**
   * Called when a graph needs a new memory plan, as for its first step; a warm decode needs none. What it throws is a
   * warning of the process and ends the calls.
   */
  readonly onPlan?: ((kind: GraphKind, reason: string) => void) | undefined;
}

export interface ModelRunnerOptions extends OpenModelOptions, RunnerOptions {}

export interface RunOptions {
  /** Return logits, those of all tokens of an entry that scores, else of its last one. */
  readonly logits?: boolean | undefined;
}
