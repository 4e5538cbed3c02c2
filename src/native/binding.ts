import type { DType, Tensor } from '../dtype.js';
import type { GraphSpec } from '../graph/atb-graph.js';
import type { GrammarSpec, Vocabulary } from './grammar-spec.js';
import type { SampledLogprobs, SamplerOptions } from './sampler-options.js';
import type { WeightLoad } from './weight-load.js';

export type * from './grammar-spec.js';
export type * from './sampler-options.js';
export type * from './weight-load.js';

/** The addon's whole surface. Only this folder touches the `.node` file. */
export interface NativeBinding {
  /** Those of KERNEL_TABLES that this machine can run, best first. */
  availableIsas(): string[];
  /** Every kernel table of this build, best first, and what this machine lacks for it. */
  kernelTables(): KernelTableState[];
  /** ATB op types (and our extension ops) that the engine executes, sorted. */
  supportedOps(): string[];
  /**
   * Bytes that a step of a graph takes beside its inputs, from their descriptions: nothing is allocated and nothing runs.
   * Throws as `run` does for a graph and shapes that do not fit together.
   */
  planGraph(spec: GraphSpec, inputs: Readonly<Record<string, PlannedInput>>, options: EngineOptions): number;
  /** The key of a file of packed weights. Throws NATIVE_PACKED_UNUSABLE for one that is damaged or something else. */
  packedKey(file: string): string;
  readonly Engine: new (options: EngineOptions) => NativeEngine;
}

/** Where weights are as the engine holds them, and a text of everything that decides their bytes, at most 1 MiB of UTF-8. */
export interface PackedFile {
  readonly file: string;
  readonly key: string;
}

/** A tensor by its description alone: row-major, or as the engine stores weights, their scales and caches. */
export interface PlannedInput {
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** `plain` when absent. */
  readonly layout?: 'plain' | 'linear' | 'scales' | 'keys' | 'values';
}

export interface KernelTableState {
  readonly isa: string;
  /** Features of the CPU, or what the operating system must grant; empty for a table that runs here. */
  readonly missing: readonly string[];
  /** Whether this build of the addon has it: `npm install` in a clone compiles those that its own CPU has a use for. */
  readonly isBuilt: boolean;
}

export interface EngineOptions {
  /** Threads that compute, the engine's own included. */
  readonly threads: number;
  /** Kernel table by name; the best available when absent. Throws NATIVE_ISA_UNSUPPORTED. */
  readonly isa?: string;
}

/**
 * The keys and values of one attention layer, or of several layers that share them. Sizes are multiples of 8 up to 576;
 * attention operations have limits of their own.
 */
export interface KvCacheDesc {
  /** The graph input that is bound to the keys, [numBlocks, blockSize, heads, keySize]. */
  readonly key: string;
  /**
   * The graph input that is bound to the values, [numBlocks, blockSize, heads, valueSize]. When it is absent, the values
   * are the first `valueSize` numbers of each key and take no memory of their own, as with MLA's latent cache.
   */
  readonly value?: string;
  readonly heads: number;
  readonly keySize: number;
  /** At most `keySize` when `value` is absent. */
  readonly valueSize: number;
  /** Blocks of its own, which belong to no sequence and which nobody copies; those of all caches when absent. */
  readonly numBlocks?: number;
  /**
   * Tokens that a row stands for: a block has a row for every so many of its tokens, in whole groups of 32 rows. 1 when
   * absent.
   */
  readonly tokensPerRow?: number;
}

/**
 * What a layer keeps of a sequence beside keys and values, however long that is: f32 [numBlocks, size]. Each block has the
 * state behind the last of its tokens that were computed, so it is shared and copied as keys and values are.
 */
export interface StateDesc {
  /** The graph input that is bound to it. */
  readonly name: string;
  /** Numbers. */
  readonly size: number;
}

export interface KvCacheOptions {
  /** Blocks of every cache. */
  readonly numBlocks: number;
  /** Tokens of a block; a multiple of 32. */
  readonly blockSize: number;
  /** i8: integers, with a scale for each token and kv head that operations make as they write. */
  readonly dtype: 'f32' | 'f16' | 'bf16' | 'i8';
  /** None for a model without caches. No two tensors have the same name. */
  readonly caches: readonly KvCacheDesc[];
  /** None when absent. */
  readonly states?: readonly StateDesc[];
}

/** Inputs of one step by graph input name; everything else must be bound already. */
export type StepInputs = Readonly<Record<string, Tensor>>;

export interface StepOptions {
  /** One sampler id per row of the first output; -1 leaves that row unsampled. Absent: nothing is sampled. */
  readonly samplers?: Int32Array;
  /**
   * For each row a token that the next row takes for granted, or -1: both have the same sampler, and the next row is
   * sampled only when this one gives that token. So a sequence's guesses are verified as if its tokens had come one by one.
   */
  readonly drafts?: Int32Array;
  /** Return the first output as f32 rows. */
  readonly logits?: boolean;
  /** Time each operation. */
  readonly profile?: boolean;
}

/** One operation of a profiled step. */
export interface NodeTiming {
  /** Path of the operation in the graph: `layer_3/attention`. */
  readonly name: string;
  readonly type: string;
  /** On a steady clock that all steps share. */
  readonly startMs: number;
  readonly durationMs: number;
}

export interface StepResult {
  /**
   * Token per row; -1 where not sampled, -2 where the row's logits are not finite, -3 where a grammar leaves no token.
   * Empty without samplers.
   */
  readonly tokens: Int32Array;
  readonly logprobs: ReadonlyArray<SampledLogprobs | undefined>;
  /** [rows, vocab] when asked for. */
  readonly logits?: Tensor<'f32'>;
  /** Why memory was planned anew, where it was: "input_ids grew from i32[8] to i32[9]". */
  readonly planReason?: string;
  /** In order of execution, when asked for. */
  readonly timings?: readonly NodeTiming[];
}

export interface ForwardResult {
  readonly outputs: Readonly<Record<string, Tensor>>;
  readonly intermediates: Readonly<Record<string, Tensor>>;
}

/** What the machine gives an engine's threads at most. */
export interface MachineLimits {
  /** Streamed reading of memory. */
  readonly readBytesPerSecond: number;
  /** Products in the widest instructions of the engine's kernels, operands in L2. */
  readonly flops: number;
}

export interface GraphStats {
  readonly runs: number;
  /** Memory plans made since the graph was loaded; a warm decode makes none. */
  readonly plans: number;
  readonly lastPlanReason: string;
  /** Of the engine's arena, for its largest plan so far. Graphs run one after another and share it. */
  readonly arenaBytes: number;
  /** Thread barriers of the latest run. */
  readonly barriers: number;
}

/**
 * One engine: tensors by name, graphs, samplers, one thread that runs them in order. Native failures are Errors with
 * `code` NATIVE_*. After `dispose` every call throws; pending promises settle first.
 */
export interface NativeEngine {
  readonly isa: string;
  readonly threads: number;
  /**
   * Reads, converts and packs weights in parallel, each byte once. Progress is called on the JavaScript thread; what it
   * throws rejects the promise, and ends the load where this is not done yet. With `packed`, what these weights became is
   * read from that file instead; rejects with NATIVE_PACKED_UNUSABLE when it has another key or is damaged.
   */
  loadWeights(
    weights: readonly WeightLoad[],
    onProgress?: (loadedBytes: number, totalBytes: number) => void,
    packed?: PackedFile,
  ): Promise<void>;
  /**
   * Writes what the latest `loadWeights` made to a new file, on a thread that gives way to others; the engine goes on, and
   * may be disposed. Rejects with NATIVE_FILE_ERROR; then the file may be there in part.
   */
  writePacked(packed: PackedFile): Promise<void>;
  /** Copies a tensor into the engine under a name (position tables and the like). */
  setTensor(name: string, tensor: Tensor): void;
  /**
   * A row-major copy of a tensor of the engine, out of whichever layout it has: integers as i8 [n, k] ([n, k / 2] with 4
   * bits), scales as f32 [n, groups]. Waits for the calls before it. Throws NATIVE_TENSOR_UNKNOWN, and
   * NATIVE_LAYOUT_MISMATCH for a cache.
   */
  exportTensor(name: string): Tensor;
  /**
   * Allocates zeroed caches under the names that are given, and forgets the tensors of an earlier call. Returns bytes.
   * Throws NATIVE_PARAM_INVALID for sizes that no cache has and for a name that is given twice.
   */
  allocateKvCache(options: KvCacheOptions): number;
  /**
   * Copies whole blocks of all caches, [from, to, from, to, …], one pair after another, in the order of steps.
   * Rejects with NATIVE_VALUE_OUT_OF_RANGE for blocks that there are not.
   */
  copyBlocks(pairs: Int32Array): Promise<void>;
  /** Checks and prepares a graph; inputs that exist as engine tensors now are bound to them. Returns its id. */
  loadGraph(spec: GraphSpec): number;
  unloadGraph(graph: number): void;
  /**
   * Makes room for a step of a graph whose inputs, those that are bound excepted, are described so. Steps up to it need no
   * memory plan of their own then. Rejects as `run` does for shapes that do not fit together.
   */
  reserve(graph: number, inputs: Readonly<Record<string, PlannedInput>>): Promise<void>;
  graphStats(graph: number): GraphStats;
  /** What grammars are written in; before the first of them. Other work goes on meanwhile. */
  setVocabulary(vocabulary: Vocabulary): Promise<void>;
  /**
   * Prepares a grammar on a thread of its own; its masks are made as texts need them. Returns its id. Rejects with
   * NATIVE_GRAMMAR_INVALID when no text ends or rules begin with one another in a circle, NATIVE_GRAMMAR_TOO_LARGE.
   */
  compileGrammar(grammar: GrammarSpec): Promise<number>;
  /** Whether the grammar allows a text, as UTF-8. */
  grammarAllows(grammar: number, text: Uint8Array): boolean;
  /** Samplers that use the grammar keep it. */
  freeGrammar(grammar: number): void;
  createSampler(options: SamplerOptions): number;
  /** Records tokens as generated although this engine did not sample them. */
  appendTokens(sampler: number, tokens: Int32Array): void;
  /** Takes back the tokens that were recorded last, in their order. A sampler with a grammar takes none back. */
  retractTokens(sampler: number, tokens: Int32Array): void;
  freeSampler(sampler: number): void;
  /** One step. Inputs are copied before it returns. Steps run in the order of the calls. */
  run(graph: number, inputs: StepInputs, options?: StepOptions): Promise<StepResult>;
  /**
   * Runs any graph once on plain tensors; those that are not given are the engine's. Caches are given and returned
   * row-major. `intermediates` names inner tensors to hand back ("layer_0/attn/q").
   */
  forward(spec: GraphSpec, inputs: StepInputs, intermediates?: readonly string[]): Promise<ForwardResult>;
  /** Measures for about half a second, with 512 MB of memory. */
  measureLimits(): Promise<MachineLimits>;
  /** Bytes held: weights, caches, and intermediates of the largest step so far. */
  memory(): { readonly weightBytes: number; readonly cacheBytes: number; readonly arenaBytes: number };
  /** Returns at once; memory is freed as soon as what was posted before has run. Loads of weights end early. */
  dispose(): void;
}
