import { availableParallelism, totalmem } from 'node:os';
import { DTYPE_BYTES, type DType, elementCount, type FloatDType } from '../dtype.js';
import { refuseRequest } from '../errors.js';
import type { GraphKind } from '../graph/graph-kind.js';
import type { GraphSpec } from '../graph/graph-spec.js';
import { type PlannedInput, planGraph } from '../native/index.js';
import type { CausalLM } from '../router/index.js';
import type { StepInput, StepSizes } from '../step-inputs/index.js';
import { kvBlockBytes } from './kv-block-bytes.js';
import { type ModelPlan, type OpenModelOptions, openModel } from './open-model.js';
import { isCount } from './options.js';
import { DEFAULT_BLOCK_SIZE, type RunnerOptions } from './runner-options.js';
import { scaleLikes, storedTensors } from './stored-weights.js';
import { graphsOf, weightLoads, weightStorage, ZERO_OFFSET } from './weight-storage.js';

/** Contexts that people start with; the model's own limit where that is less. */
const DEFAULT_CONTEXT = 4096;
/** Tokens of a step, as `LLM` takes them. */
const DEFAULT_STEP_TOKENS = 512;
/** More sequences than this nobody runs on one machine. */
const MOST_SEQUENCES = 65_536;

export interface MemoryOptions
  extends Pick<RunnerOptions, 'threads' | 'isa' | 'blockSize' | 'passes' | 'nativePath'> {
  /** Tokens of each sequence, prompt and answer; 4096, or the model's context if that is less, when absent. */
  readonly context?: number | undefined;
  /** Sequences at once; 1 when absent. */
  readonly batch?: number | undefined;
  /** Tokens of a step, `maxNumBatchedTokens` of `LLM`; 512 when absent. */
  readonly stepTokens?: number | undefined;
  /** Bytes into which everything is to fit; those of the machine when absent. */
  readonly budgetBytes?: number | undefined;
}

/** Bytes that a model takes when it runs. */
export interface MemoryEstimate {
  /** Of weights and activations. */
  readonly dtype: FloatDType;
  /** What keys and values are stored as. */
  readonly cacheDType: FloatDType | 'i8';
  readonly context: number;
  readonly batch: number;
  /** Packed as the engine packs them. */
  readonly weightBytes: number;
  /** Tables of positions, which are made once. */
  readonly positionBytes: number;
  readonly kvBytesPerToken: number;
  /** Whole blocks of every sequence. */
  readonly cacheBytes: number;
  /** Of each graph's largest step, as the engine plans it. Graphs keep theirs, so they add up. */
  readonly activationBytes: number;
  readonly totalBytes: number;
  readonly budgetBytes: number;
  /** Tokens of a sequence with which `batch` of them fit; 0: none does. */
  readonly longestContext: number;
  /** Sequences of `context` tokens that fit. */
  readonly largestBatch: number;
}

/**
 * What a model of a directory will take, from the headers of its files: no weights are read and nothing is allocated.
 * Beside it a process of Node.js takes some 100 MiB.
 * @throws ROUTER_*, CONFIG_*, WEIGHT_*, NATIVE_*, REQUEST_INVALID
 */
export async function estimateMemory(options: OpenModelOptions & MemoryOptions): Promise<MemoryEstimate> {
  const open = await openModel(options);
  return memoryOf(open, open.model, options);
}

/** The same of a model that is open. @throws NATIVE_*, REQUEST_INVALID */
export function memoryOf(plan: ModelPlan, model: CausalLM, options: MemoryOptions): MemoryEstimate {
  const { maxPositionEmbeddings } = plan.config;
  const { context = Math.min(DEFAULT_CONTEXT, maxPositionEmbeddings), batch = 1 } = options;
  const {
    stepTokens = DEFAULT_STEP_TOKENS,
    blockSize = DEFAULT_BLOCK_SIZE,
    budgetBytes = totalmem(),
  } = options;
  for (const [field, value] of Object.entries({ context, batch, stepTokens, blockSize }))
    if (!isCount(value)) refuseRequest(field, 'an integer >= 1', value);
  if (context > maxPositionEmbeddings)
    refuseRequest('context', `at most ${maxPositionEmbeddings}, the model's`, context);
  const planned = new PlannedModel(plan, model, { ...options, blockSize, stepTokens });
  const fits = (length: number, sequences: number): boolean =>
    planned.totalBytes(length, sequences) <= budgetBytes;
  const blocks = largest(Math.ceil(maxPositionEmbeddings / blockSize), (count) =>
    fits(Math.min(count * blockSize, maxPositionEmbeddings), batch),
  );
  return {
    dtype: plan.dtype,
    cacheDType: plan.cacheDType,
    context,
    batch,
    weightBytes: planned.weightBytes,
    positionBytes: planned.positionBytes(context, batch),
    kvBytesPerToken: kvBlockBytes(model.caches(), plan.cacheDType, 1),
    cacheBytes: planned.cacheBytes(context, batch),
    activationBytes: planned.activationBytes(context, batch),
    totalBytes: planned.totalBytes(context, batch),
    budgetBytes,
    longestContext: Math.min(blocks * blockSize, maxPositionEmbeddings),
    largestBatch: largest(MOST_SEQUENCES, (count) => fits(context, count)),
  };
}

/** Bytes of a model's packed weights. */
export function plannedWeightBytes({ model, ...plan }: ModelPlan & { readonly model: CausalLM }): number {
  return new PlannedModel(plan, model, { blockSize: 1, stepTokens: 1 }).weightBytes;
}

/** The largest number up to `most` that holds, where all smaller ones do; 0 when none does. */
function largest(most: number, holds: (count: number) => boolean): number {
  let [low, high] = [0, 1];
  while (high <= most && holds(high)) [low, high] = [high, 2 * high];
  high = Math.min(high, most + 1);
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (holds(middle)) low = middle;
    else high = middle;
  }
  return low;
}

/** An input of steps, and those of its names that stay for the run. */
interface HeldInput {
  readonly input: StepInput;
  readonly dtypes: ReadonlyMap<string, DType>;
}

/** A model's graphs and the descriptions of what they read, for whichever step is asked about. */
class PlannedModel {
  readonly weightBytes: number;
  readonly #graphs: ReadonlyMap<GraphKind, GraphSpec>;
  readonly #weights: Readonly<Record<string, PlannedInput>>;
  readonly #held: readonly HeldInput[];

  constructor(
    private readonly plan: ModelPlan,
    private readonly model: CausalLM,
    private readonly options: MemoryOptions & { readonly blockSize: number; readonly stepTokens: number },
  ) {
    const { dtype } = plan;
    const storage = weightStorage(model.getWeights());
    this.#graphs = graphsOf(model, storage, dtype, options.passes);
    const loads = weightLoads(storage.refs, [...this.#graphs.values()], dtype);
    const like = scaleLikes(loads);
    const tensors = loads.flatMap((load) => storedTensors(load, like.get(load.name)));
    this.weightBytes = tensors.reduce((sum, { bytes }) => sum + bytes, 0);
    this.#weights = {
      ...Object.fromEntries(tensors.map(({ name, desc }) => [name, desc])),
      ...Object.fromEntries(storage.values),
      [ZERO_OFFSET]: { dtype: 'f32', shape: [1] },
    };
    this.#held = this.#heldInputs();
  }

  totalBytes(context: number, batch: number): number {
    const steady = this.weightBytes + this.positionBytes(context, batch) + this.cacheBytes(context, batch);
    return steady + this.activationBytes(context, batch);
  }

  cacheBytes(context: number, batch: number): number {
    const { blockSize } = this.options;
    const blockBytes = kvBlockBytes(this.model.caches(), this.plan.cacheDType, blockSize);
    return batch * Math.ceil(context / blockSize) * blockBytes;
  }

  activationBytes(context: number, batch: number): number {
    const { threads = availableParallelism(), isa, nativePath } = this.options;
    const engine = {
      threads,
      ...(isa !== undefined && { isa }),
      ...(nativePath !== undefined && { nativePath }),
    };
    let sum = 0;
    for (const [kind, spec] of this.#graphs)
      sum += planGraph(spec, this.#inputs(this.#sizes(kind, context, batch)), engine);
    return sum;
  }

  /** The largest step of a graph. */
  #sizes(kind: GraphKind, context: number, batch: number): StepSizes {
    const { blockSize, stepTokens } = this.options;
    const rows = kind.readsCache && !kind.hasQueryLens ? batch : Math.min(stepTokens, batch * context);
    return {
      kind,
      dtype: this.plan.dtype,
      batch: Math.min(batch, rows),
      rows,
      contextLen: kind.readsCache ? context : Math.min(context, rows),
      // Tables are as wide as the next power of two (src/step-inputs/paging.ts).
      blocks: 2 ** Math.ceil(Math.log2(Math.ceil(context / blockSize))),
      maxPositionEmbeddings: this.plan.config.maxPositionEmbeddings,
    };
  }

  #inputs(sizes: StepSizes): Record<string, PlannedInput> {
    const { blockSize } = this.options;
    const cache = (heads: number, size: number, layout: 'keys' | 'values'): PlannedInput => ({
      dtype: this.plan.cacheDType,
      shape: [sizes.batch * sizes.blocks, blockSize, heads, size],
      layout,
    });
    return {
      ...this.#weights,
      ...Object.fromEntries(
        this.model
          .caches()
          .flatMap(({ key, value, heads, keySize, valueSize }) => [
            [key, cache(heads, keySize, 'keys')],
            ...(value === undefined ? [] : [[value, cache(heads, valueSize, 'values')]]),
          ]),
      ),
      ...Object.assign({}, ...this.model.stepInputs.map((input) => input.describe(sizes))),
    };
  }

  /** Tables have a row for each position, but for no more than the cache has tokens (src/step-inputs/rotary.ts). */
  positionBytes(context: number, batch: number): number {
    const [kind] = this.#graphs.keys();
    if (kind === undefined) return 0;
    const { blockSize } = this.options;
    const sizes = this.#sizes(kind, context, batch);
    const cacheTokens = batch * Math.ceil(context / blockSize) * blockSize;
    const maxPositionEmbeddings = Math.min(sizes.maxPositionEmbeddings, cacheTokens);
    let bytes = 0;
    for (const { input, dtypes } of this.#held)
      for (const [name, { shape }] of Object.entries(input.describe({ ...sizes, maxPositionEmbeddings }))) {
        const dtype = dtypes.get(name);
        if (dtype) bytes += elementCount(shape) * DTYPE_BYTES[dtype];
      }
    return bytes;
  }

  /** What graphs read and stays for the run. One row of each is made, to see which there are, and in which dtype. */
  #heldInputs(): HeldInput[] {
    const read = new Set([...this.#graphs.values()].flatMap((spec) => spec.inputs));
    const run = { dtype: this.plan.dtype, blockSize: 1, numBlocks: 1, maxPositionEmbeddings: 1 };
    return this.model.stepInputs
      .filter(({ names }) => names.some((name) => read.has(name)))
      .map((input) => {
        const held = Object.entries(input.hold?.(run) ?? {});
        return { input, dtypes: new Map(held.map(([name, { dtype }]) => [name, dtype])) };
      });
  }
}
