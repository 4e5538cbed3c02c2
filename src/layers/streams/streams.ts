import { type AtbGraph, BaseOperation, dim } from '../../graph/atb-graph.js';
import { Linear } from '../../weights/linear.js';
import { constantWeight } from '../../weights/weight-changes.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import { Floor } from '../formulas/clamp.js';
import { addPair, addScaled } from '../formulas/residual.js';
import { buildLinear } from '../linear/linear-steps.js';
import { Module } from '../module.js';
import { addRMSNorm, type BaseRMSNorm } from '../norms/norms.js';

/** What streams are told by the configuration. */
export interface StreamConfig {
  readonly hiddenSize: number;
  /** Hidden states of a token: [tokens, streams, hidden]. */
  readonly streams: number;
}

/** Where ATB adds something to mean squares. */
const EPSILON = 1e-12;
/** Mean squares are not less, when something is divided by their roots. */
const LEAST = 1e-5;

/**
 * Streams [from, from + count) of `input` [tokens, streams, hidden] as `out`; a count of -1 reaches the end. Returns
 * `out`.
 */
export function addStreams(graph: AtbGraph, input: string, from: number, count: number, out: string): string {
  const box = { offsets: [0, from, 0], size: [-1, count, -1] };
  graph.addOperation(new BaseOperation('Slice', box, `${out}_slice`), [input], [out]);
  return out;
}

/** One stream as rows: [tokens, hidden]. Returns the name, which is `out`. */
export function addStream(graph: AtbGraph, input: string, stream: number, out: string): string {
  addStreams(graph, input, stream, 1, `${out}_stream`);
  graph.addReshape(`${out}_stream`, out, [dim(0), dim(2)]);
  return out;
}

/** Rows [tokens, hidden] as a stream [tokens, 1, hidden]: a view of the same name and `_stream`. */
export function asStream(graph: AtbGraph, rows: string): string {
  const name = `${rows}_as_stream`;
  graph.addReshape(rows, name, [dim(0), 1, dim(1)]);
  return name;
}

/** `a` and `b` side by side along the axis of streams. Returns `out`. */
export function joinStreams(graph: AtbGraph, a: string, b: string, out: string): string {
  graph.addOperation(new BaseOperation('Concat', { concatDim: 1 }, `${out}_concat`), [a, b], [out]);
  return out;
}

/** Makes streams as long as another: each times the root of its mean square, by the root of its own. */
class SameLength extends Module {
  private readonly unit: TensorRef;
  private readonly floor: Floor;
  private readonly meanScale: number;

  constructor(
    { hiddenSize }: StreamConfig,
    weights: Weights,
    private readonly name: string,
  ) {
    super();
    // About the root of the size: sums of products stay within f16.
    const root = 2 ** Math.round(Math.log2(hiddenSize) / 2);
    this.meanScale = root / hiddenSize;
    this.unit = constantWeight(weights.path(`${name}_unit`), [hiddenSize], 1 / root);
    this.floor = new Floor(weights, `${name}_floor`, Math.sqrt(LEAST));
  }

  override getWeights(): TensorRef[] {
    return [this.unit, ...super.getWeights()];
  }

  /** `first` [tokens, 1, hidden], `others` [tokens, n, hidden] -> `others` as long as `first`. */
  buildGraph(graph: AtbGraph, first: string, others: string): string {
    const { name } = this;
    const target = this.buildRootGraph(graph, first, `${name}_target`);
    const own = this.floor.buildGraph(
      graph,
      this.buildRootGraph(graph, others, `${name}_own`),
      `${name}_bounded`,
    );
    const factors = addPair(graph, 'ELEWISE_REALDIV', target, own, `${name}_factors`);
    graph.addReshape(factors, `${name}_factor_column`, [dim(0), dim(1), 1]);
    return addPair(graph, 'ELEWISE_MUL', others, `${name}_factor_column`, `${name}_out`);
  }

  /** Roots of mean squares, [tokens, streams]: the means of what is multiplied by itself over that root. */
  private buildRootGraph(graph: AtbGraph, input: string, out: string): string {
    addRMSNorm(graph, { name: `${out}_norm`, epsilon: EPSILON, weight: this.unit }, input, `${out}_unit`);
    addPair(graph, 'ELEWISE_MUL', input, `${out}_unit`, `${out}_products`);
    const sum = new BaseOperation('Reduce', { reduceType: 'REDUCE_SUM', axis: [2] }, `${out}_sum`);
    graph.addOperation(sum, [`${out}_products`], [`${out}_sums`]);
    return addScaled(graph, `${out}_sums`, this.meanScale, out);
  }
}

/** Embeddings as streams: themselves, and projections of them that are as long. */
export class StreamsBegin extends Module {
  readonly projections: Linear;
  readonly sameLength: SameLength;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED, WEIGHT_QUANT_*. */
  constructor(
    private readonly config: StreamConfig,
    weights: Weights,
  ) {
    super();
    const { hiddenSize, streams } = config;
    const part = (at: number) => ({ name: `altup_projections.${at}`, outFeatures: hiddenSize });
    const others = Array.from({ length: streams - 2 }, (_, at) => part(at + 1));
    const parts = [part(0), ...others] as const;
    this.projections = Linear.load(weights, { name: 'altup_projections', parts, inFeatures: hiddenSize });
    this.sameLength = new SameLength(config, weights, 'begin_length');
  }

  /** `hidden` [tokens, hidden] -> [tokens, streams, hidden]. */
  buildGraph(graph: AtbGraph, hidden: string): string {
    const { hiddenSize, streams } = this.config;
    const projected = buildLinear(graph, this.projections, hidden, 'altup_projections_out');
    graph.addReshape(projected, 'projected_streams', [dim(0), streams - 1, hiddenSize]);
    const first = asStream(graph, hidden);
    const others = this.sameLength.buildGraph(graph, first, 'projected_streams');
    return joinStreams(graph, first, others, 'streams');
  }
}

/**
 * Streams as hidden states: the mean of the first and of projections of the others that are as long; then the last
 * norm.
 */
export class StreamsEnd extends Module {
  readonly projections: readonly Linear[];
  readonly sameLength: SameLength;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED, WEIGHT_QUANT_*. */
  constructor(
    private readonly config: StreamConfig,
    weights: Weights,
    readonly norm: BaseRMSNorm,
  ) {
    super();
    const { hiddenSize, streams } = config;
    this.projections = Array.from({ length: streams - 1 }, (_, at) =>
      Linear.load(weights, {
        parts: [{ name: `altup_unembed_projections.${at}`, outFeatures: hiddenSize }],
        inFeatures: hiddenSize,
      }),
    );
    this.sameLength = new SameLength(config, weights, 'end_length');
  }

  /** `input` [tokens, streams, hidden] -> [tokens, hidden]. */
  buildGraph(graph: AtbGraph, input: string): string {
    const first = addStreams(graph, input, 0, 1, 'first_stream');
    const projected = this.projections.map((projection, at) => {
      const rows = addStream(graph, input, at + 1, `stream_${at + 1}`);
      return asStream(graph, buildLinear(graph, projection, rows, `unembed_${at + 1}_out`));
    });
    const others = projected.reduce((a, b, at) => joinStreams(graph, a, b, `unembedded_streams_${at + 1}`));
    const all = joinStreams(graph, first, this.sameLength.buildGraph(graph, first, others), 'last_streams');
    const sum = new BaseOperation('Reduce', { reduceType: 'REDUCE_SUM', axis: [1] }, 'stream_sum');
    graph.addOperation(sum, [all], ['stream_sums']);
    return this.norm.buildGraph(
      graph,
      addScaled(graph, 'stream_sums', 1 / this.config.streams, 'stream_means'),
    );
  }
}
