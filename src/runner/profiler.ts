import { DTYPE_BYTES, type FloatDType } from '../dtype.js';
import type { GraphSpec } from '../graph/atb-graph.js';
import type { GraphKind } from '../graph/graph-kind.js';
import { paramOf } from '../graph/passes/pattern.js';
import { type PlacedOperation, placedOperations, productsOf } from '../graph/placed-operations.js';
import type { BaseConfig } from '../layers/config/index.js';
import type { MachineLimits, NodeTiming } from '../native/index.js';
import type { TensorRef } from '../weights/weights.js';
import { kvBlockBytes } from './kv-block-bytes.js';
import type { OpenModel } from './open-model.js';
import { type StepTimes, StepTrace } from './step-trace.js';

/** The operations of one name in graphs of one kind, over all layers and steps. */
export interface ProfileRow {
  /** The name of the graph's kind. */
  readonly phase: string;
  /** Last part of the path: `gate_up`. */
  readonly name: string;
  readonly type: string;
  readonly calls: number;
  readonly totalMs: number;
  /** Of the phase's time. */
  readonly share: number;
  /** Of products and attention: weights, or keys and values, read per second. */
  readonly bytesPerSecond?: number;
  /** Of products and attention: arithmetic done per second. */
  readonly flops?: number;
  /** The least time that the machine's limits allow for both, over the time taken. Where data lie in a cache, above 1. */
  readonly ofBound?: number;
}

/** Sizes of a model's weights by name, as the engine stores them. */
export function matrixSizes(weights: readonly TensorRef[], dtype: FloatDType): Map<string, MatrixSize> {
  return new Map(
    weights.map(({ name, shape, quantized }) => {
      if (quantized?.role !== 'weight') return [name, { shape, bytes: DTYPE_BYTES[dtype] }];
      return [name, { shape: [shape[0] ?? 0, quantized.inFeatures], bytes: quantized.bits / 8 }];
    }),
  );
}

/** A matrix as the engine stores it. */
export interface MatrixSize {
  readonly shape: readonly number[];
  /** Of one element; integers of 4 bits count half. */
  readonly bytes: number;
}

interface ProductSize extends MatrixSize {
  readonly rows: PlacedOperation['rows'];
}

interface Sum {
  phase: string;
  name: string;
  type: string;
  calls: number;
  totalMs: number;
  bytes: number;
  operations: number;
}

/** What attention reads and computes, by the sizes of one layer. */
export interface AttentionSizes {
  readonly config: Pick<BaseConfig, 'numAttentionHeads' | 'headDim' | 'valueHeadDim' | 'kvLoraRank'>;
  /** Of a token's keys and values in one layer. */
  readonly kvBytes: number;
}

interface Work {
  readonly bytes: number;
  readonly operations: number;
}

/** Adds up the times of steps that ran with `profile`. */
export class Profiler {
  readonly #sums = new Map<string, Sum>();
  readonly #trace = new StepTrace();
  readonly #products: ReadonlyMap<GraphKind, ReadonlyMap<string, ProductSize>>;
  readonly #limits: ReadonlyMap<GraphKind, ReadonlyMap<string, SightLimit>>;

  /** Of the graphs of a model whose caches have blocks of so many tokens. */
  static of(
    { config, dtype, cacheDType, model }: OpenModel,
    graphs: ReadonlyMap<GraphKind, GraphSpec>,
    blockSize: number,
  ): Profiler {
    const kvBytes = kvBlockBytes(model.caches().slice(0, 1), cacheDType, blockSize) / blockSize;
    return new Profiler(graphs, matrixSizes(model.getWeights(), dtype), { config, kvBytes });
  }

  constructor(
    graphs: ReadonlyMap<GraphKind, GraphSpec>,
    sizes: ReadonlyMap<string, MatrixSize>,
    private readonly attention: AttentionSizes,
  ) {
    const products = (spec: GraphSpec) =>
      new Map(
        productsOf(spec).flatMap(({ path, matrix, rows }) => {
          const size = sizes.get(matrix);
          return size ? [[path, { ...size, rows }] as const] : [];
        }),
      );
    this.#products = new Map([...graphs].map(([kind, spec]) => [kind, products(spec)]));
    this.#limits = new Map([...graphs].map(([kind, spec]) => [kind, limitsOf(spec)]));
  }

  /** `queryLens`: tokens of each sequence in the step; `seqLens`: its tokens that they may see. `times` of the step's call. */
  add(
    kind: GraphKind,
    queryLens: Int32Array,
    seqLens: Int32Array,
    timings: readonly NodeTiming[],
    times?: StepTimes,
  ): void {
    const { name: phase } = kind;
    this.#trace.add(phase, timings, times);
    const tokens = queryLens.reduce((sum, len) => sum + len, 0);
    const ofLimit = new Map<string, Work>();
    for (const timing of timings) {
      const name = timing.name.split('/').at(-1) ?? timing.name;
      const key = `${phase} ${name}`;
      const sum = this.#sums.get(key) ?? {
        phase,
        name,
        type: timing.type,
        calls: 0,
        totalMs: 0,
        bytes: 0,
        operations: 0,
      };
      this.#sums.set(key, sum);
      sum.calls++;
      sum.totalMs += timing.durationMs;
      const product = this.#products.get(kind)?.get(timing.name);
      if (product && !EXPERTS.has(timing.type)) {
        const elements = product.shape.reduce((count, size) => count * size, 1);
        sum.bytes += elements * product.bytes;
        // Of the gathered rows there is one for each sequence: its last.
        sum.operations += 2 * elements * (product.rows === 'tokens' ? tokens : seqLens.length);
      } else if (ATTENTION.has(timing.type)) {
        const limit = this.#limits.get(kind)?.get(timing.name) ?? {};
        const key = `${limit.windowSize} ${limit.chunkSize}`;
        const work = ofLimit.get(key) ?? this.#attentionWork(queryLens, seqLens, limit);
        ofLimit.set(key, work);
        sum.bytes += work.bytes;
        sum.operations += work.operations;
      }
    }
  }

  /** Forgets what was added, such as warm-up steps. */
  clear(): void {
    this.#sums.clear();
    this.#trace.clear();
  }

  /** Slowest first, phase by phase; with shares of the bound where the machine's limits are given. */
  rows(limits?: MachineLimits): ProfileRow[] {
    const total = new Map<string, number>();
    for (const { phase, totalMs } of this.#sums.values()) total.set(phase, (total.get(phase) ?? 0) + totalMs);
    return [...this.#sums.values()]
      .sort((a, b) => a.phase.localeCompare(b.phase) || b.totalMs - a.totalMs)
      .map(({ bytes, operations, ...row }) => ({
        ...row,
        share: row.totalMs / (total.get(row.phase) as number),
        ...(bytes > 0 && {
          bytesPerSecond: (bytes * 1000) / row.totalMs,
          flops: (operations * 1000) / row.totalMs,
          ...(limits && { ofBound: (leastSeconds({ bytes, operations }, limits) * 1000) / row.totalMs }),
        }),
      }));
  }

  /** For chrome://tracing and Perfetto: operations, steps, the sampler and JavaScript in lanes of their own. */
  chromeTrace(): { readonly traceEvents: readonly object[] } {
    return { traceEvents: this.#trace.events() };
  }

  #attentionWork(queryLens: Int32Array, seqLens: Int32Array, limit: SightLimit): Work {
    const { config, kvBytes } = this.attention;
    const { numAttentionHeads: heads = 0, headDim = 0, valueHeadDim = headDim, kvLoraRank = 0 } = config;
    const [keySize, valueSize] = [kvLoraRank + headDim, kvLoraRank || valueHeadDim];
    let keys = 0;
    let pairs = 0;
    queryLens.forEach((count, i) => {
      const end = seqLens[i] ?? 0;
      keys += end - firstKey(end - count, limit);
      for (let query = end - count; query < end; query++) pairs += query + 1 - firstKey(query, limit);
    });
    // A score and a weighted value for each pair of a query and a key.
    return { bytes: keys * kvBytes, operations: 2 * heads * (keySize + valueSize) * pairs };
  }
}

/** Which experts a step chose, and so what it read and computed, is not known here. */
const EXPERTS: ReadonlySet<string> = new Set(['FusedExperts', 'GroupedMatmul']);
const ATTENTION: ReadonlySet<string> = new Set(['SelfAttention', 'PagedAttention']);

/** What attention does not see of what is before a query. */
interface SightLimit {
  readonly windowSize?: number | undefined;
  readonly chunkSize?: number | undefined;
}

/** The first key that a query at this position sees. */
const firstKey = (
  query: number,
  { windowSize = Number.POSITIVE_INFINITY, chunkSize = Number.POSITIVE_INFINITY }: SightLimit,
): number => Math.max(0, query - windowSize + 1, query - (query % chunkSize));

/** Windows and chunks by the path of the attention that has some: said by a param after passes, by a hint before. */
function limitsOf(spec: GraphSpec): Map<string, SightLimit> {
  return new Map(
    placedOperations(spec).flatMap(({ path, node }) => {
      const param = paramOf(node, 'SelfAttention') ?? paramOf(node, 'PagedAttention');
      const { windowSize, chunkSize } = { ...node.hint, ...param };
      return windowSize === undefined && chunkSize === undefined
        ? []
        : [[path, { windowSize, chunkSize }] as const];
    }),
  );
}

const leastSeconds = ({ bytes, operations }: Work, { readBytesPerSecond, flops }: MachineLimits): number =>
  Math.max(bytes / readBytesPerSecond, operations / flops);
