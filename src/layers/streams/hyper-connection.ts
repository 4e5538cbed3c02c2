import type { FloatDType } from '../../dtype.js';
import { type AtbGraph, BaseOperation, dim } from '../../graph/atb-graph.js';
import { constantRuns, constantWeight, inF32 } from '../../weights/weight-changes.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import { addNarrowed } from '../formulas/casts.js';
import { addPair, addResidual, addScaled } from '../formulas/residual.js';
import { buildWideLinear } from '../linear/linear-steps.js';
import { Module } from '../module.js';
import { addRMSNorm, type NormStep } from '../norms/norms.js';
import { addStreams, asStream, type StreamConfig } from './streams.js';

/** What hyper-connections are told by the configuration. */
export interface HyperConfig extends StreamConfig {
  readonly rmsNormEps: number;
  /** What is added to each gate. */
  readonly hyperEps: number;
  /** What gates of results are multiplied by. */
  readonly hyperMagnitude: number;
}

/** The checkpoint's names of the tensors that gates are made of. */
export interface HyperNames {
  readonly fn: string;
  readonly base: string;
  readonly scale: string;
}

/** `<name>_fn`, `<name>_base`, `<name>_scale`. */
export const hyperNames = (name: string): HyperNames => ({
  fn: `${name}_fn`,
  base: `${name}_base`,
  scale: `${name}_scale`,
});

/**
 * Gates of all streams, made of all of them: sigmoid(fn(norm(streams)) * scale + base) + eps, in f32. `groups` 1: how
 * much of each stream a step reads; 2: and behind them how much of its result each stream takes.
 */
class StreamGates extends Module {
  private readonly fn: TensorRef;
  private readonly base: TensorRef;
  private readonly scale: TensorRef;
  private readonly unit: TensorRef;
  private readonly one: TensorRef;
  private readonly added: TensorRef;
  private readonly dtype: FloatDType;

  /** `name` is that of its operations. Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH. */
  constructor(
    private readonly config: HyperConfig,
    weights: Weights,
    private readonly name: string,
    private readonly groups: 1 | 2,
    names: HyperNames,
  ) {
    super();
    const { hiddenSize, streams, hyperEps, hyperMagnitude } = config;
    const wide = (tensor: string, shape: readonly number[]) => inF32(weights.get(tensor, shape));
    this.fn = wide(names.fn, [groups * streams, streams * hiddenSize]);
    this.base = wide(names.base, [groups * streams]);
    this.scale = wide(names.scale, [groups]);
    this.unit = constantWeight(weights.path(`${name}_unit`), [streams * hiddenSize], 1);
    this.one = inF32(constantWeight(weights.path(`${name}_one`), [1], 1));
    const added = [[1, hyperEps] as const, [groups - 1, hyperEps / hyperMagnitude] as const];
    this.added = inF32(constantRuns(weights.path(`${name}_added`), added.slice(0, groups)));
    this.dtype = weights.dtype ?? 'bf16';
  }

  override getWeights(): TensorRef[] {
    const { fn, base, scale, unit, one, added } = this;
    return [fn, base, scale, unit, one, added];
  }

  /** `streams` [tokens, streams, hidden] -> gates [tokens, groups, streams] of the model's dtype. */
  buildGraph(graph: AtbGraph, streams: string): string {
    const { name, groups, dtype } = this;
    const { rmsNormEps: epsilon, streams: size } = this.config;
    graph.addReshape(streams, `${name}_flat`, [dim(0), dim(1, 2)]);
    addRMSNorm(graph, { name: `${name}_norm`, epsilon, weight: this.unit }, `${name}_flat`, `${name}_normed`);
    buildWideLinear(graph, { name, weight: this.fn, dtype }, `${name}_normed`, `${name}_mixes`);
    const inGroups = (
      tensor: string,
      view: string,
      rows: number | ReturnType<typeof dim>,
      columns: number,
    ) => {
      graph.addReshape(tensor, `${name}_${view}`, [rows, groups, columns]);
      return `${name}_${view}`;
    };
    // ATB multiplies no tensors of f32, but divides them.
    const scale = inGroups(this.scale.name, 'scale_column', 1, 1);
    const inverse = addPair(graph, 'ELEWISE_REALDIV', this.one.name, scale, `${name}_inverse`);
    const mixes = inGroups(`${name}_mixes`, 'mixes_in_groups', dim(0), size);
    const scaled = addPair(graph, 'ELEWISE_REALDIV', mixes, inverse, `${name}_scaled`);
    const base = inGroups(this.base.name, 'base_in_groups', 1, size);
    const logits = addResidual(graph, scaled, base, `${name}_logits`);
    graph.addOperation(new BaseOperation('Sigmoid', {}, `${name}_sigmoid`), [logits], [`${name}_sigmoids`]);
    const added = inGroups(this.added.name, 'added_column', 1, 1);
    const gates = addResidual(graph, `${name}_sigmoids`, added, `${name}_wide_gates`);
    return addNarrowed(graph, gates, dtype, `${name}_gates`);
  }

  /** How much of each stream is read, of the gates of `buildGraph`: [tokens, streams, 1]. */
  buildReadGraph(graph: AtbGraph, gates: string): string {
    return this.buildColumnGraph(graph, gates, 0, 'read');
  }

  /** How much each stream takes: [tokens, streams, 1]. */
  buildTakenGraph(graph: AtbGraph, gates: string): string {
    const column = this.buildColumnGraph(graph, gates, 1, 'taken');
    return addScaled(graph, column, this.config.hyperMagnitude, `${this.name}_taken_grown`);
  }

  private buildColumnGraph(graph: AtbGraph, gates: string, group: 0 | 1, as: string): string {
    const column = `${this.name}_${as}`;
    const own = this.groups === 1 ? gates : addStreams(graph, gates, group, 1, `${column}_gates`);
    graph.addReshape(own, column, [dim(0), dim(2), 1]);
    return column;
  }

  /** The sum of gated streams: [tokens, hidden]. */
  buildSumGraph(graph: AtbGraph, streams: string, column: string): string {
    const { name } = this;
    const gated = addPair(graph, 'ELEWISE_MUL', streams, column, `${name}_gated_streams`);
    const sum = new BaseOperation('Reduce', { reduceType: 'REDUCE_SUM', axis: [1] }, `${name}_sum`);
    graph.addOperation(sum, [gated], [`${name}_out`]);
    return `${name}_out`;
  }
}

/** What a step reads of the streams, and what they take of its result. */
export interface HyperInput {
  /** [tokens, hidden] */
  readonly input: string;
  /** How much of the result each stream takes, as the connection wants it. */
  readonly taken: string;
}

/** A way from streams of hidden states to a step, and back. */
export interface StreamConnection extends Module {
  /** `streams` [tokens, streams, hidden] -> what the step reads. */
  buildGraph(graph: AtbGraph, streams: string): HyperInput;
  /** What streams become by `result` [tokens, hidden]: -> `out` [tokens, streams, hidden]. */
  buildResultGraph(graph: AtbGraph, streams: string, input: HyperInput, result: string, out: string): string;
}

/**
 * A step between streams of hidden states, which has a way in and a way out of each (hyper-connections, arXiv:2409.19606)
 * but none from stream to stream: transformers 5.24, HYV4HyperConnection.
 */
export class HyperConnection extends Module implements StreamConnection {
  readonly gates: StreamGates;

  /** `name` is that of its operations. Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH. */
  constructor(
    config: HyperConfig,
    weights: Weights,
    private readonly name: string,
    names: HyperNames,
  ) {
    super();
    this.gates = new StreamGates(config, weights, name, 2, names);
  }

  /** `streams` [tokens, streams, hidden] -> what the step reads. */
  buildGraph(graph: AtbGraph, streams: string): HyperInput {
    const gates = this.gates.buildGraph(graph, streams);
    const input = this.gates.buildSumGraph(graph, streams, this.gates.buildReadGraph(graph, gates));
    return { input, taken: this.gates.buildTakenGraph(graph, gates) };
  }

  /** Adds `result` [tokens, hidden] to each stream, as much as it takes: -> `out` [tokens, streams, hidden]. */
  buildResultGraph(
    graph: AtbGraph,
    streams: string,
    { taken }: HyperInput,
    result: string,
    out: string,
  ): string {
    const spread = addPair(graph, 'ELEWISE_MUL', asStream(graph, result), taken, `${this.name}_result`);
    return addResidual(graph, streams, spread, out);
  }
}

/** The same streams for each token: `hidden` [tokens, hidden] -> [tokens, streams, hidden]. */
export class EqualStreams extends Module {
  private readonly ones: TensorRef;

  constructor({ streams }: StreamConfig, weights: Weights) {
    super();
    this.ones = constantWeight(weights.path('stream_ones'), [1, streams, 1], 1);
  }

  override getWeights(): TensorRef[] {
    return [this.ones];
  }

  buildGraph(graph: AtbGraph, hidden: string): string {
    return addPair(graph, 'ELEWISE_MUL', asStream(graph, hidden), this.ones.name, 'streams');
  }
}

/** Behind the last layer: the sum of gated streams [tokens, streams, hidden], and its norm [tokens, hidden]. */
export class HyperHead extends Module {
  readonly gates: StreamGates;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH. */
  constructor(
    config: HyperConfig,
    weights: Weights,
    names: HyperNames,
    readonly norm: NormStep,
  ) {
    super();
    this.gates = new StreamGates(config, weights, 'stream_head', 1, names);
  }

  buildGraph(graph: AtbGraph, streams: string): string {
    const gates = this.gates.buildGraph(graph, streams);
    const sum = this.gates.buildSumGraph(graph, streams, this.gates.buildReadGraph(graph, gates));
    return this.norm.buildGraph(graph, sum);
  }
}
