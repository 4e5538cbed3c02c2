import { CommonOpBuilderManager } from '../../common-op-builders/index.js';
import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { Linear } from '../../weights/linear.js';
import type { LinearPart } from '../../weights/linear-part.js';
import { inF32 } from '../../weights/weight-changes.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import { layerState, type StateRef } from '../cache-ref.js';
import type { LayerStep } from '../decoder/decoder-layers.js';
import { addColumns, addGate, addGated, addSigmoid } from '../linear/gate.js';
import { buildLinear, buildRowParallelLinear } from '../linear/linear-steps.js';
import { Module } from '../module.js';
import { HeadNorm } from '../norms/norms.js';
import { CausalConv, type ConvPart, SplitConv, stateTensors } from './causal-conv.js';

/** What it is told by the configuration. */
export interface DeltaNetConfig {
  readonly hiddenSize: number;
  readonly keyHeads: number;
  readonly valueHeads: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly convTaps: number;
  /** Of the norm of what comes out of the state. */
  readonly rmsNormEps: number;
  /** What sigmoids of betas are multiplied by; 1 when absent. */
  readonly mostBeta?: number;
  /** What z passes through before it multiplies; silu when absent. */
  readonly outputGate?: 'silu' | 'sigmoid';
}

/** Where the checkpoint has the projections of the input: as parts of two linears. */
export interface DeltaNetParts {
  /** Queries and keys of the key heads, values of the value heads, and gates of what comes out. */
  readonly qkvz: readonly [LinearPart, ...LinearPart[]];
  /** A beta and a step of each value head. */
  readonly gates: readonly [LinearPart, ...LinearPart[]];
  /** Tensors of the convolutions of queries, keys and values; one of all, `conv1d`, when absent. */
  readonly convs?: readonly ConvPart[];
  /** `norm` when absent. */
  readonly norm?: string;
  /** `out_proj` when absent. */
  readonly out?: string;
}

/**
 * Linear attention by the gated delta rule (arXiv:2412.06464): queries, keys and values pass a short convolution, each head
 * has a matrix of state in place of a past, and what comes out of it is normed head by head and multiplied by a gate
 * of z.
 */
export class GatedDeltaNet extends Module implements LayerStep {
  readonly qkvz: Linear;
  readonly gates: Linear;
  readonly conv: CausalConv | SplitConv;
  readonly norm: HeadNorm;
  readonly outProj: Linear;
  private readonly perHead: readonly TensorRef[];
  private readonly state: StateRef;
  private readonly config: DeltaNetConfig;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED, WEIGHT_QUANT_*. */
  constructor(
    layerId: number,
    config: DeltaNetConfig,
    weights: Weights,
    { qkvz, gates, convs, norm = 'norm', out = 'out_proj' }: DeltaNetParts,
  ) {
    super();
    const { hiddenSize: inFeatures, keyHeads, valueHeads, keySize, valueSize, convTaps, rmsNormEps } = config;
    const values = valueHeads * valueSize;
    this.config = config;
    this.qkvz = Linear.load(weights, { name: 'qkvz', parts: qkvz, inFeatures });
    this.gates = Linear.load(weights, { name: 'gates', parts: gates, inFeatures, role: 'gates' });
    const conv = { taps: convTaps, hasBias: false, activates: true };
    this.conv = convs
      ? new SplitConv(layerId, weights, convs, conv)
      : new CausalConv(layerId, weights.at('conv1d'), { channels: 2 * keyHeads * keySize + values, ...conv });
    this.norm = new HeadNorm(weights.at(norm), { heads: valueHeads, headDim: valueSize }, rmsNormEps);
    const parts = [{ name: out, outFeatures: config.hiddenSize }] as const;
    this.outProj = Linear.load(weights, { parts, inFeatures: values });
    this.perHead = ['A_log', 'dt_bias'].map((name) => inF32(weights.get(name, [valueHeads])));
    this.state = layerState(layerId, 'recurrent_state', values * keySize);
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), ...this.perHead];
  }

  override states(): StateRef[] {
    return [...super.states(), this.state];
  }

  buildGraph(graph: AtbGraph, kind: GraphKind, input: string): string {
    const { keyHeads, valueHeads, keySize, valueSize, mostBeta = 1 } = this.config;
    const projected = buildLinear(graph, this.qkvz, input, 'qkvz_out');
    const steps = buildLinear(graph, this.gates, input, 'gates_out');
    CommonOpBuilderManager.getBuilder({
      category: 'RECURRENT',
      opName: 'delta_rule',
      ...{ rule: 'gated_delta', keyHeads, valueHeads, keySize, valueSize, mostBeta, decaysByKey: false },
    }).build(graph, {
      rows: this.conv.buildGraph(graph, projected),
      steps,
      perHead: this.perHead.map(({ name }) => name),
      state: stateTensors(this.state),
      recurrentOut: 'recurrent_out',
    });
    const normed = this.norm.buildGraph(graph, 'recurrent_out');
    const z = addColumns(graph, projected, 2 * keyHeads * keySize + valueHeads * valueSize, -1, 'z');
    const isSigmoid = this.config.outputGate === 'sigmoid';
    const gated = isSigmoid ? addGated(graph, normed, addSigmoid(graph, z)) : addGate(graph, normed, z);
    return buildRowParallelLinear(graph, kind, 'dense', this.outProj, gated, 'dense_out');
  }
}
