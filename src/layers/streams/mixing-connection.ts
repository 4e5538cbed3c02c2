import type { FloatDType } from '../../dtype.js';
import { type AtbGraph, BaseOperation, dim } from '../../graph/atb-graph.js';
import { inF32 } from '../../weights/weight-changes.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import { buildWideLinear } from '../linear/linear-steps.js';
import { Module } from '../module.js';
import type { HyperConfig, HyperInput, HyperNames, StreamConnection } from './hyper-connection.js';

/** What such connections are told by the configuration. */
export type MixingConfig = Omit<HyperConfig, 'hyperMagnitude'> & { readonly sinkhornIterations: number };

/**
 * A token's streams decide by how much each of them counts: for what a step reads, for what the step gives, and for each
 * other (manifold-constrained hyper-connections, arXiv:2512.24880). It computes in f32, whatever the model runs in.
 */
export class MixingConnection extends Module implements StreamConnection {
  private readonly fn: TensorRef;
  private readonly base: TensorRef;
  private readonly scale: TensorRef;
  private readonly dtype: FloatDType;

  /** `name`: in graphs. Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH. */
  constructor(
    private readonly config: MixingConfig,
    weights: Weights,
    private readonly name: string,
    names: HyperNames,
  ) {
    super();
    const { streams, hiddenSize } = config;
    const columns = streams * (2 + streams);
    this.fn = inF32(weights.get(names.fn, [columns, streams * hiddenSize]));
    this.base = inF32(weights.get(names.base, [columns]));
    this.scale = inF32(weights.get(names.scale, [3]));
    this.dtype = weights.dtype ?? 'bf16';
  }

  override getWeights(): TensorRef[] {
    return [this.fn, this.base, this.scale];
  }

  buildGraph(graph: AtbGraph, streams: string): HyperInput {
    const { name, fn, base, scale, dtype } = this;
    const { rmsNormEps: normEpsilon, hyperEps: epsilon, sinkhornIterations: iterations } = this.config;
    graph.addReshape(streams, `${name}_flat`, [dim(0), dim(1, 2)]);
    const wide = { name: `${name}_fn`, weight: fn, dtype };
    const mixes = buildWideLinear(graph, wide, `${name}_flat`, `${name}_mixes`);
    graph.addOperation(
      new BaseOperation('HyperWeights', { iterations, epsilon, normEpsilon }, `${name}_weigh`),
      [streams, mixes, base.name, scale.name],
      [`${name}_weights`],
    );
    const collapse = new BaseOperation('MixStreams', { mix: 'collapse' }, `${name}_collapse`);
    graph.addOperation(collapse, [streams, `${name}_weights`], [`${name}_collapsed`]);
    return { input: `${name}_collapsed`, taken: `${name}_weights` };
  }

  buildResultGraph(
    graph: AtbGraph,
    streams: string,
    { taken }: HyperInput,
    result: string,
    out: string,
  ): string {
    const expand = new BaseOperation('MixStreams', { mix: 'expand' }, `${this.name}_expand`);
    graph.addOperation(expand, [streams, taken, result], [out]);
    return out;
  }
}
