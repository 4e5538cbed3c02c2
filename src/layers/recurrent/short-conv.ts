import { type AtbGraph, BaseOperation } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { Linear } from '../../weights/linear.js';
import type { Weights } from '../../weights/weights.js';
import type { LayerStep } from '../decoder/decoder-layers.js';
import { addSplit } from '../formulas/split.js';
import { buildLinear, buildRowParallelLinear } from '../linear/linear-steps.js';
import { Module } from '../module.js';
import { CausalConv } from './causal-conv.js';

/** What a short convolution is told by the configuration. */
export interface ShortConvConfig {
  readonly hiddenSize: number;
  readonly convTaps: number;
  readonly convBias: boolean;
}

/** out(C * conv(B * x)), where one projection of the input is B, C and x: LFM2's layers in place of attention. */
export class ShortConv extends Module implements LayerStep {
  readonly inProj: Linear;
  readonly conv: CausalConv;
  readonly outProj: Linear;
  private readonly size: number;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED, WEIGHT_QUANT_*. */
  constructor(layerId: number, config: ShortConvConfig, weights: Weights) {
    super();
    const { hiddenSize, convTaps: taps, convBias: hasBias } = config;
    const inFeatures = hiddenSize;
    this.size = hiddenSize;
    const parts = [{ name: 'in_proj', outFeatures: 3 * hiddenSize }] as const;
    this.inProj = Linear.load(weights, { parts, inFeatures, hasBias });
    this.conv = new CausalConv(layerId, weights.at('conv'), {
      channels: hiddenSize,
      ...{ taps, hasBias, activates: false },
    });
    const out = [{ name: 'out_proj', outFeatures: hiddenSize }] as const;
    this.outProj = Linear.load(weights, { parts: out, inFeatures, hasBias });
  }

  buildGraph(graph: AtbGraph, kind: GraphKind, input: string): string {
    const { size } = this;
    const projected = buildLinear(graph, this.inProj, input, 'in_out');
    addSplit(graph, 'in_split', projected, [
      ['b', size],
      ['c', size],
      ['x', size],
    ]);
    const multiply = (a: string, b: string, out: string): string => {
      graph.addOperation(
        new BaseOperation('Elewise', { elewiseType: 'ELEWISE_MUL' }, `${out}_mul`),
        [a, b],
        [out],
      );
      return out;
    };
    const mixed = this.conv.buildGraph(graph, multiply('b', 'x', 'bx'));
    return buildRowParallelLinear(
      graph,
      kind,
      'dense',
      this.outProj,
      multiply('c', mixed, 'gated'),
      'dense_out',
    );
  }
}
