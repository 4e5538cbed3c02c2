import { availableParallelism } from 'node:os';
import type { Phase } from '../common-op-builders/index.js';
import type { FloatDType, Tensor } from '../dtype.js';
import { AtbError } from '../errors.js';
import type { GraphSpec } from '../graph/atb-graph.js';
import { applyPasses, type PassSelection } from '../graph/passes/index.js';
import { type KvQuantMode, type KvQuantOptions, kvCacheDType } from '../kv-cache/kv-quant.js';
import type { BaseConfig } from '../layers/config/index.js';
import { causalMask, decodeMask } from '../layers/masks.js';
import { isLengthDependent } from '../layers/rope/rope-config.js';
import { fullRopeTable, ropeTable } from '../layers/rope/rope-table.js';
import { getModel } from '../models/get-model.js';
import {
  createEngine,
  type GraphStats,
  type MachineLimits,
  type NativeEngine,
  type SamplerOptions,
  type StepInputs,
  type StepResult,
} from '../native/index.js';
import type { BaseRouter } from '../router/index.js';
import type { Batch } from '../scheduler/scheduler.js';
import type { Sequence } from '../scheduler/sequence.js';
import { Checkpoint } from '../weights/checkpoint.js';
import { type QuantizeOptions, quantizationPlan } from '../weights/quantization.js';
import { kvBlockBytes } from './kv-block-bytes.js';
import { matrixSizes, Profiler } from './profiler.js';
import { int32, int64, stepTensors } from './step-inputs.js';
import { loadWeights, weightStorage, withStandIns } from './weight-storage.js';

export interface ModelRunnerOptions extends QuantizeOptions, KvQuantOptions {
  /** Directory of a Hugging Face checkpoint. */
  readonly modelPath: string;
  /** Folders with model directories of the user's own, beside this package's. */
  readonly modelDirs?: readonly string[];
  /** Override of the model's context length. */
  readonly maxPositionEmbeddings?: number;
  /** Of weights and activations; the checkpoint's when absent. */
  readonly dtype?: FloatDType;
  /** Compute threads; one per available core when absent. */
  readonly threads?: number;
  /** Kernel table by name; the best that this machine runs when absent. */
  readonly isa?: string;
  /** Tokens of a KV block, a multiple of 32; 128 when absent. */
  readonly blockSize?: number;
  /** KV blocks to allocate. */
  readonly numBlocks: number;
  /** Graph passes; all when absent. */
  readonly passes?: PassSelection;
  /** Time each operation of each step; see `profiler`. */
  readonly profile?: boolean;
  /** The addon's file; this package's own when absent. */
  readonly nativePath?: string;
  readonly onProgress?: (loadedBytes: number, totalBytes: number) => void;
  /** Called when a phase's graph needs a new memory plan, as for its first step; a warm decode needs none. */
  readonly onPlan?: (phase: Phase, reason: string) => void;
}

export interface RunOptions {
  /** Rows of logits to return: none, each entry's last token, or every token of the step. */
  readonly logits?: 'none' | 'last' | 'all';
}

/** One step in the terms of the original's `forward`: packed token ids against block tables, logits out. */
export interface ForwardInputs {
  /** [tokens], sequences one after another. */
  readonly inputIds: Int32Array;
  readonly positionIds: Int32Array;
  /** True: whole prompts from position 0. False: one token of each sequence. */
  readonly isPrefill: boolean;
  /** [batch][blocks]. */
  readonly blockTables: readonly (readonly number[])[];
  /** [tokens]: block * blockSize + offset. */
  readonly slots: Int32Array;
  /** [batch]: tokens of each sequence that are visible, the new ones included. */
  readonly inputLengths: Int32Array;
  /** Tokens whose logits to return; each prompt's last when absent. */
  readonly lmHeadIndices?: Int32Array;
}

/**
 * A model on an engine: its weights, its three graphs, its KV cache. Takes batches, builds the tensors of a step, makes
 * one native call. It schedules nothing and owns no sequence.
 */
export class ModelRunner {
  readonly #engine: NativeEngine;
  readonly #graphs: Readonly<Record<Phase, { readonly id: number; readonly spec: GraphSpec }>>;
  readonly #samplers = new Map<Sequence, number>();

  private constructor(
    readonly config: BaseConfig,
    readonly dtype: FloatDType,
    readonly blockSize: number,
    readonly numBlocks: number,
    engine: NativeEngine,
    graphs: Readonly<Record<Phase, GraphSpec>>,
    /** Milliseconds that loading took. */
    readonly loadMs: number,
    /** With the option `profile`. */
    readonly profiler: Profiler | undefined,
    private readonly onPlan: ModelRunnerOptions['onPlan'],
  ) {
    this.#engine = engine;
    const load = (spec: GraphSpec) => ({ id: engine.loadGraph(spec), spec });
    this.#graphs = {
      prefill: load(graphs.prefill),
      decode: load(graphs.decode),
      splitfuse: load(graphs.splitfuse),
    };
  }

  /**
   * Loads a checkpoint.
   * @throws ROUTER_*, CONFIG_*, WEIGHT_*, NATIVE_*, REQUEST_INVALID, OPTION_UNSUPPORTED
   */
  static async load(options: ModelRunnerOptions): Promise<ModelRunner> {
    const start = performance.now();
    const {
      modelPath,
      blockSize = 128,
      numBlocks,
      threads = availableParallelism(),
      passes = 'all',
    } = options;
    const router = await getModel(modelPath, options);
    const config = runConfig(router, options.maxPositionEmbeddings);
    const dtype = options.dtype ?? config.dtype ?? 'bf16';
    const quantization = quantizationPlan(options);
    const cacheDType = kvCacheDType(dtype, options);
    const checkpoint = await Checkpoint.open(modelPath);
    const model = new router.modelClass(config, checkpoint.weights({ dtype, quantization }));
    const storage = weightStorage(model.getWeights());
    const build = (phase: Phase) =>
      withStandIns(applyPasses(model.buildGraph(phase), passes), storage, dtype);
    const graphs = { prefill: build('prefill'), decode: build('decode'), splitfuse: build('splitfuse') };
    if (cacheDType === 'i8') requireCachedAttention(graphs.prefill);
    const engine = createEngine({
      threads,
      ...(options.isa !== undefined && { isa: options.isa }),
      ...(options.nativePath !== undefined && { nativePath: options.nativePath }),
    });
    try {
      await loadWeights(engine, storage, Object.values(graphs), dtype, options.onProgress);
      await checkpoint.checkUnchanged();
      if (!isLengthDependent(config.rope)) {
        // No sequence is longer than the whole cache.
        const positions = Math.min(config.maxPositionEmbeddings, numBlocks * blockSize);
        const { cos, sin } = fullRopeTable(config.rope, positions, dtype);
        engine.setTensor('cos_table', cos);
        engine.setTensor('sin_table', sin);
      }
      const { numHiddenLayers: layers, numKeyValueHeads: kvHeads, headDim } = config;
      engine.allocateKvCache({ layers, numBlocks, blockSize, kvHeads, headDim, dtype: cacheDType });
      const profiler = options.profile
        ? new Profiler(graphs, matrixSizes(model.getWeights(), dtype), {
            config,
            kvBytes: kvBlockBytes(kvHeads, headDim, cacheDType, blockSize) / blockSize,
          })
        : undefined;
      const loadMs = performance.now() - start;
      return new ModelRunner(
        config,
        dtype,
        blockSize,
        numBlocks,
        engine,
        graphs,
        loadMs,
        profiler,
        options.onPlan,
      );
    } catch (error) {
      engine.dispose();
      throw error;
    }
  }

  get isa(): string {
    return this.#engine.isa;
  }

  get threads(): number {
    return this.#engine.threads;
  }

  /** Bytes that weights, KV cache and intermediate tensors hold. */
  memory(): ReturnType<NativeEngine['memory']> {
    return this.#engine.memory();
  }

  /** What the machine gives this runner's threads and kernels at most; half a second of measuring. */
  machineLimits(): Promise<MachineLimits> {
    return this.#engine.measureLimits();
  }

  graphStats(phase: Phase): GraphStats {
    return this.#engine.graphStats(this.#graphs[phase].id);
  }

  /** Bytes of one KV block over all layers. */
  static blockBytes(
    config: BaseConfig,
    dtype: FloatDType,
    blockSize: number,
    kvQuant?: KvQuantMode | undefined,
  ): number {
    const { numHiddenLayers, numKeyValueHeads, headDim } = config;
    const cacheDType = kvCacheDType(dtype, { kvQuant });
    return numHiddenLayers * kvBlockBytes(numKeyValueHeads, headDim, cacheDType, blockSize);
  }

  /** Gives a sequence a sampler; its draws depend on `options` and its tokens alone. */
  addSequence(sequence: Sequence, options: SamplerOptions): void {
    this.#samplers.set(sequence, this.#engine.createSampler(options));
  }

  removeSequence(sequence: Sequence): void {
    const sampler = this.#samplers.get(sequence);
    if (sampler !== undefined) this.#engine.freeSampler(sampler);
    this.#samplers.delete(sequence);
  }

  /** Computes a batch. `tokens[i]` is entry i's next token where it samples, -1 elsewhere, -2 where logits are not finite. */
  async run(batch: Batch, { logits = 'none' }: RunOptions = {}): Promise<StepResult> {
    const { phase, entries } = batch;
    const { positions, ...tensors } = stepTensors(batch, this.blockSize);
    const everyToken = logits === 'all' && phase !== 'decode';
    const inputs: Record<string, Tensor> = {
      ...tensors,
      ...(everyToken && { lm_head_indices: int64(Int32Array.from(positions.keys())) }),
      ...this.#positionInputs(
        positions,
        entries.flatMap(({ sequence, count }) => new Array<number>(count).fill(sequence.promptLen)),
      ),
      ...this.#maskInputs(phase, tensors.seq_len.data),
    };
    const samplers = Int32Array.from(entries, ({ sequence, sample }) =>
      sample ? (this.#samplers.get(sequence) ?? -1) : -1,
    );
    return this.#step(phase, inputs, { ...(everyToken ? {} : { samplers }), logits: logits !== 'none' });
  }

  /**
   * The original's `forward`: one step of a runner that schedules for itself. Returns logits [rows, vocab] in f32.
   * @throws REQUEST_INVALID when the arrays do not fit together, NATIVE_ERROR for ids, slots or blocks out of range
   */
  async forward(inputs: ForwardInputs): Promise<Tensor<'f32'>> {
    const { inputIds, positionIds, isPrefill, blockTables, slots, inputLengths } = inputs;
    const phase = isPrefill ? 'prefill' : 'decode';
    const width = Math.max(1, ...blockTables.map((table) => table.length));
    const tables = new Int32Array(inputLengths.length * width);
    blockTables.forEach((table, row) => {
      tables.set(table, row * width);
    });
    let end = -1;
    const lastTokens = isPrefill
      ? inputLengths.map((len) => (end += len))
      : Int32Array.from(inputLengths.keys());
    const promptLens = isPrefill
      ? [...inputLengths].flatMap((len) => new Array<number>(len).fill(len))
      : [...inputLengths];
    const { logits } = await this.#step(
      phase,
      {
        input_ids: int64(inputIds),
        position_ids: int64(positionIds),
        slots_mapping: int32(slots),
        seq_len: int32(inputLengths),
        block_tables: int32(tables, [inputLengths.length, width]),
        lm_head_indices: int64(inputs.lmHeadIndices ?? lastTokens),
        ...this.#positionInputs(positionIds, promptLens),
        ...this.#maskInputs(phase, inputLengths),
      },
      { logits: true },
    );
    return logits as Tensor<'f32'>;
  }

  /** Waits for nothing: pending steps settle first, later calls throw ENGINE_DISPOSED. */
  dispose(): void {
    this.#engine.dispose();
  }

  async #step(
    phase: Phase,
    inputs: Readonly<Record<string, Tensor>>,
    options: { samplers?: Int32Array; logits: boolean },
  ): Promise<StepResult> {
    const { id, spec } = this.#graphs[phase];
    const read: StepInputs = Object.fromEntries(
      Object.entries(inputs).filter(([name]) => spec.inputs.includes(name)),
    );
    const result = await this.#engine.run(id, read, { ...options, profile: this.profiler !== undefined });
    if (result.planReason !== undefined) this.onPlan?.(phase, result.planReason);
    if (!this.profiler) return result;
    const seqLens = inputs.seq_len?.data as Int32Array;
    const queryLens = (inputs.q_len?.data ??
      (phase === 'decode' ? seqLens.map(() => 1) : seqLens)) as Int32Array;
    this.profiler.add(phase, queryLens, seqLens, result.timings ?? []);
    return result;
  }

  /** Where cos and sin depend on a sequence's length, the tables are made for the step's tokens, one row each. */
  #positionInputs(positions: Int32Array, promptLens: readonly number[]): Record<string, Tensor> {
    const { rope, maxPositionEmbeddings } = this.config;
    if (!isLengthDependent(rope)) {
      const beyond = positions.find((position) => position >= maxPositionEmbeddings);
      if (beyond !== undefined) {
        const expected = `below max_position_embeddings (${maxPositionEmbeddings})`;
        throw new AtbError('REQUEST_INVALID', { field: 'position', expected, found: beyond });
      }
      return {};
    }
    const { cos, sin } = ropeTable(rope, positions, this.dtype, promptLens);
    return { cos_table: cos, sin_table: sin, position_ids: int64(Int32Array.from(positions.keys())) };
  }

  /** Explicit masks, for graphs that kept them (without the pass `implicit-masks`). */
  #maskInputs(phase: Phase, seqLens: Int32Array): Record<string, Tensor> {
    const { inputs } = this.#graphs[phase].spec;
    const masks: Record<string, Tensor> = {};
    const size = Math.max(...seqLens);
    const window = this.config.slidingWindows.find((found) => found !== undefined);
    if (inputs.includes('attention_mask'))
      masks.attention_mask = causalMask(phase === 'prefill' ? 128 : size, this.dtype);
    if (inputs.includes('sliding_attention_mask') && window !== undefined) {
      masks.sliding_attention_mask =
        phase === 'decode'
          ? decodeMask(seqLens, size, this.dtype, window)
          : causalMask(size, this.dtype, window);
    }
    return masks;
  }
}

/**
 * Attention over a prompt's own keys sees them before they are rounded, where a later step reads them rounded: results
 * would depend on how a prompt is cut.
 */
function requireCachedAttention(prefill: GraphSpec): void {
  const attends = ({ nodes }: GraphSpec): boolean =>
    nodes.some(({ op }) => ('graph' in op ? attends(op.graph) : op.type === 'SelfAttention'));
  if (!attends(prefill)) return;
  const passes = 'implicit-masks and attention-from-cache';
  throw new AtbError('OPTION_UNSUPPORTED', {
    option: 'kv_quant',
    found: 'int8',
    reason: `without the graph passes ${passes}, prefill attends to keys and values before they are rounded`,
  });
}

/**
 * A model's configuration as it runs. The override bounds positions; rope scaling goes on reading the length that the
 * model was trained for.
 * @throws CONFIG_INVALID, REQUEST_INVALID
 */
export function runConfig({ config }: BaseRouter, maxPositionEmbeddings?: number): BaseConfig {
  if (maxPositionEmbeddings === undefined) return config;
  if (!Number.isSafeInteger(maxPositionEmbeddings) || maxPositionEmbeddings < 1) {
    throw new AtbError('REQUEST_INVALID', {
      field: 'maxPositionEmbeddings',
      expected: 'an integer >= 1',
      found: maxPositionEmbeddings,
    });
  }
  return { ...config, maxPositionEmbeddings };
}
