import { type AtbGraph, BaseOperation, dim } from '../../graph/atb-graph.js';
import { Linear } from '../../weights/linear.js';
import { constantWeight, plus } from '../../weights/weight-changes.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import { addPair, addResidual, addScaled } from '../formulas/residual.js';
import { addNarrowMLP } from '../linear/gate.js';
import { buildLinear } from '../linear/linear-steps.js';
import { Module } from '../module.js';
import { addRMSNorm } from '../norms/norms.js';
import { asStream } from './streams.js';

/** What streams side by side are told by the configuration: [tokens, streams * hidden]. */
export interface GatedStreamsConfig {
  readonly hiddenSize: number;
  readonly streams: number;
  /** Numbers of the vectors that gates are made of. */
  readonly streamRank: number;
  readonly rmsNormEps: number;
}

/** `rows` [tokens, streams * hidden] as `out` [tokens, streams, hidden]. Returns `out`. */
export function asStreams(
  graph: AtbGraph,
  rows: string,
  { streams, hiddenSize }: Pick<GatedStreamsConfig, 'streams' | 'hiddenSize'>,
  out = `${rows}_as_streams`,
): string {
  graph.addReshape(rows, out, [dim(0), streams, hiddenSize]);
  return out;
}

/** Sums over an axis of `input`. Returns `out`. */
export function addSums(graph: AtbGraph, input: string, axis: number, out: string): string {
  const sum = new BaseOperation('Reduce', { reduceType: 'REDUCE_SUM', axis: [axis] }, `${out}_reduce`);
  graph.addOperation(sum, [input], [out]);
  return out;
}

/** Sigmoids, number by number. Returns `out`. */
export function addSigmoids(graph: AtbGraph, input: string, out: string): string {
  graph.addOperation(new BaseOperation('Sigmoid', {}, `${out}_op`), [input], [out]);
  return out;
}

/**
 * x / rms(x) * (1 + weight) of each stream, which has a weight of its own: [tokens, streams * hidden] -> the same shape.
 * ATB's norm has one weight for all, so these are multiplied by afterwards.
 */
export class StreamNorm extends Module {
  private readonly weight: TensorRef;
  private readonly ones: TensorRef;

  /** `name`: in graphs. Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH. */
  constructor(
    private readonly config: Omit<GatedStreamsConfig, 'streamRank'>,
    weights: Weights,
    private readonly name: string,
  ) {
    super();
    const { hiddenSize, streams } = config;
    this.weight = plus(weights.get('weight', [streams * hiddenSize]), 1);
    this.ones = constantWeight(weights.path('ones'), [hiddenSize], 1);
  }

  override getWeights(): TensorRef[] {
    return [this.weight, this.ones];
  }

  buildGraph(graph: AtbGraph, input: string): string {
    const { name, ones: weight } = this;
    const streams = asStreams(graph, input, this.config, `${name}_streams`);
    addRMSNorm(graph, { name, epsilon: this.config.rmsNormEps, weight }, streams, `${name}_streams_out`);
    graph.addReshape(`${name}_streams_out`, `${name}_unscaled`, [dim(0), dim(1, 2)]);
    return addPair(graph, 'ELEWISE_MUL', `${name}_unscaled`, this.weight.name, `${name}_out`);
  }
}

/**
 * What a step reads of several streams: the mean of their norms, each number of which has a gate. And what streams take
 * of the step's result, each as much as a gate of its own says.
 */
export class GatedStreams extends Module {
  readonly norm: StreamNorm;
  readonly down: Linear;
  readonly up: Linear;
  readonly inject: Linear | undefined;

  /** `name`: in graphs. `isLast`: no step follows. Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH. */
  constructor(
    private readonly config: GatedStreamsConfig,
    weights: Weights,
    private readonly name: string,
    isLast = false,
  ) {
    super();
    const { hiddenSize, streams, streamRank } = config;
    const width = streams * hiddenSize;
    const load = (part: string, inFeatures: number, outFeatures: number, times = 1) =>
      Linear.load(weights, { parts: [{ name: part, outFeatures, times }], inFeatures, role: 'gates' });
    this.norm = new StreamNorm(config, weights.at('hc_norm'), `${name}_norm`);
    this.down = load('input_mix_weight_down', width, streamRank, 1 / streams);
    this.up = load('input_mix_weight_up', streamRank, width);
    if (!isLast) this.inject = load('block_inject_weight', width, streams, 1 / streams);
  }

  /** `input` [tokens, streams * hidden] -> the mean [tokens, hidden]; what `buildInjectGraph` reads stays behind. */
  buildGraph(graph: AtbGraph, input: string): string {
    const { name, config } = this;
    const normed = this.norm.buildGraph(graph, input);
    const gates = addSigmoids(graph, addNarrowMLP(graph, name, this, normed), `${name}_gates`);
    const apart = [normed, gates].map((rows) => asStreams(graph, rows, config)) as [string, string];
    const gated = addPair(graph, 'ELEWISE_MUL', ...apart, `${name}_gated`);
    const sums = addSums(graph, gated, 1, `${name}_sums`);
    return addScaled(graph, sums, 1 / config.streams, `${name}_mean`);
  }

  /** Adds `stepped` [tokens, hidden], what a step made of the mean, to streams `input`: returns those behind it. */
  buildInjectGraph(graph: AtbGraph, input: string, stepped: string): string {
    const { name, inject } = this;
    if (inject === undefined) return input;
    const shares = addSigmoids(
      graph,
      buildLinear(graph, inject, `${name}_norm_out`, `${name}_inject_out`),
      `${name}_shares`,
    );
    graph.addReshape(addScaled(graph, shares, 2, `${name}_doubled`), `${name}_column`, [dim(0), dim(1), 1]);
    addPair(graph, 'ELEWISE_MUL', asStream(graph, stepped), `${name}_column`, `${name}_injection`);
    graph.addReshape(`${name}_injection`, `${name}_injection_rows`, [dim(0), dim(1, 2)]);
    return addResidual(graph, input, `${name}_injection_rows`, `${name}_streams`);
  }
}
