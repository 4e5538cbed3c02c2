import { availableParallelism } from 'node:os';
import { DTYPE_BYTES, type DType, elementCount } from '../dtype.js';
import type { GraphKind } from '../graph/graph-kind.js';
import type { GraphSpec } from '../graph/graph-spec.js';
import type { KvCacheDesc } from '../native/binding.js';
import { type PlannedInput, planGraph } from '../native/index.js';
import type { CausalLM } from '../router/index.js';
import { rowsOfBlock, type StepInput, type StepSizes } from '../step-inputs/index.js';
import { blockBytesOf, shownBytesOf, shownCachesOf } from './kv-block-bytes.js';
import type { ModelPlan } from './open-model.js';
import type { RunnerOptions } from './runner-options.js';
import { shownPlacesFor } from './shown-places.js';
import { largestSizes } from './step-sizes.js';
import { scaleLikes, storedTensors } from './stored-weights.js';
import { graphsOf, weightLoads, weightStorage, ZERO_OFFSET } from './weight-storage.js';

export interface PlanningOptions extends Pick<RunnerOptions, 'threads' | 'isa' | 'passes' | 'nativePath'> {
  readonly blockSize: number;
  /** Tokens of a step with prompts. */
  readonly stepTokens: number;
  /** Guesses that a step checks of each sequence; 0 when absent. */
  readonly guesses?: number;
}

/** An input of steps, and those of its names that stay for the run. */
interface HeldInput {
  readonly input: StepInput;
  readonly dtypes: ReadonlyMap<string, DType>;
}

/** A model's graphs and the descriptions of what they read, for whichever step is asked about. */
export class PlannedModel {
  readonly weightBytes: number;
  readonly #graphs: ReadonlyMap<GraphKind, GraphSpec>;
  readonly #weights: Readonly<Record<string, PlannedInput>>;
  readonly #held: readonly HeldInput[];

  constructor(
    private readonly plan: ModelPlan,
    private readonly model: CausalLM,
    private readonly options: PlanningOptions,
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

  get maxPositionEmbeddings(): number {
    return this.plan.config.maxPositionEmbeddings;
  }

  /** @param cachedLen tokens of each sequence that the cache has room for, where that is more than the model sees. */
  totalBytes(context: number, batch: number, cachedLen = context): number {
    const steady =
      this.weightBytes + this.positionBytes(cachedLen, batch) + this.cacheBytes(cachedLen, batch);
    return steady + this.activationBytes(context, batch);
  }

  cacheBytes(context: number, batch: number): number {
    const { blockSize } = this.options;
    const blockBytes = blockBytesOf(this.model, this.plan.cacheDType, blockSize);
    const shownBytes = shownBytesOf(this.model, this.plan.cacheDType, blockSize);
    return batch * Math.ceil(context / blockSize) * blockBytes + shownPlacesFor(batch) * shownBytes;
  }

  activationBytes(context: number, batch: number): number {
    const { threads = availableParallelism(), isa, nativePath } = this.options;
    const engine = {
      threads,
      ...(isa !== undefined && { isa }),
      ...(nativePath !== undefined && { nativePath }),
    };
    const planned = [...this.#graphs].map(([kind, spec]) =>
      planGraph(spec, this.#inputs(this.#sizes(kind, context, batch)), engine),
    );
    return Math.max(0, ...planned);
  }

  #sizes(kind: GraphKind, context: number, batch: number): StepSizes {
    const { blockSize, stepTokens: tokens, guesses = 0 } = this.options;
    const { dtype, config } = this.plan;
    const run = { dtype, blockSize, maxPositionEmbeddings: config.maxPositionEmbeddings };
    return largestSizes(kind, { tokens, batch, context, guesses }, run);
  }

  #inputs(sizes: StepSizes): Record<string, PlannedInput> {
    const { blockSize } = this.options;
    const cachesOf = (caches: readonly KvCacheDesc[]): Record<string, PlannedInput> =>
      Object.fromEntries(
        caches.flatMap(
          ({
            key,
            value,
            heads,
            keySize,
            valueSize,
            tokensPerRow,
            numBlocks = sizes.batch * sizes.blocks,
          }) => {
            const rows = rowsOfBlock(blockSize, tokensPerRow);
            const planned = (size: number, layout: 'keys' | 'values'): PlannedInput => ({
              dtype: this.plan.cacheDType,
              shape: [numBlocks, rows, heads, size],
              layout,
            });
            const keys = [key, planned(keySize, 'keys')] as const;
            return value === undefined ? [keys] : [keys, [value, planned(valueSize, 'values')] as const];
          },
        ),
      );
    return {
      ...this.#weights,
      ...cachesOf([
        ...this.model.caches(),
        ...shownCachesOf(this.model, blockSize, shownPlacesFor(sizes.batch)),
      ]),
      ...Object.fromEntries(
        (this.model.states?.() ?? []).map(({ name, size }) => [
          name,
          { dtype: 'f32', shape: [sizes.batch * sizes.blocks, size] },
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

/** Bytes of a model's packed weights. */
export function plannedWeightBytes({ model, ...plan }: ModelPlan & { readonly model: CausalLM }): number {
  return new PlannedModel(plan, model, { blockSize: 1, stepTokens: 1 }).weightBytes;
}
