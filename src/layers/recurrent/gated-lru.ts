import {
  type ActivationKind,
  CommonOpBuilderManager,
  multiplyHeads,
} from '../../common-op-builders/index.js';
import { type AtbGraph, dim } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { Linear } from '../../weights/linear.js';
import { expertOf, inF32, transposed } from '../../weights/weight-changes.js';
import { concatRows, type TensorRef, type Weights } from '../../weights/weights.js';
import { layerState, type StateRef } from '../cache-ref.js';
import type { LayerStep } from '../decoder/decoder-layers.js';
import { addColumns, addGated } from '../linear/gate.js';
import { buildLinear, buildRowParallelLinear } from '../linear/linear-steps.js';
import { Module } from '../module.js';
import { CausalConv, stateTensors } from './causal-conv.js';

/** What a recurrent block is told by the configuration. */
export interface GatedLruConfig {
  readonly hiddenSize: number;
  /** Channels, each of which has a number for a state. */
  readonly lruWidth: number;
  /** Blocks of channels that gates are made of. */
  readonly numAttentionHeads: number;
  readonly convTaps: number;
  readonly hiddenAct: ActivationKind;
}

/**
 * The recurrent block of Griffin (arXiv:2402.19427, section 2.3): x passes a short convolution and a real-gated linear
 * recurrent unit, whose gates are made of x block by block, and what comes out is multiplied by act(y).
 */
export class GatedLruBlock extends Module implements LayerStep {
  readonly xy: Linear;
  readonly conv: CausalConv;
  readonly out: Linear;
  /** [heads, 2 * headSize, headSize]: of each head the gates of its input, then those of its decay. */
  private readonly gates: TensorRef;
  private readonly perChannel: readonly TensorRef[];
  private readonly state: StateRef;
  private readonly config: GatedLruConfig;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED, WEIGHT_QUANT_*. */
  constructor(layerId: number, config: GatedLruConfig, weights: Weights) {
    super();
    const { hiddenSize, lruWidth: channels, numAttentionHeads: heads } = config;
    this.config = config;
    this.xy = Linear.load(weights, {
      name: 'linear_x_y',
      parts: [
        { name: 'linear_x', outFeatures: channels },
        { name: 'linear_y', outFeatures: channels },
      ],
      inFeatures: hiddenSize,
      hasBias: true,
    });
    this.conv = new CausalConv(layerId, weights.at('conv_1d'), {
      ...{ channels, taps: config.convTaps, hasBias: true, activates: false },
    });
    this.out = Linear.load(weights, {
      parts: [{ name: 'linear_out', outFeatures: hiddenSize }],
      inFeatures: channels,
      hasBias: true,
    });
    const unit = weights.at('rg_lru');
    const size = channels / heads;
    this.gates = gateMatrices(unit, heads, size);
    this.perChannel = [
      unit.get('input_gate_bias', [heads, size]),
      unit.get('recurrent_gate_bias', [heads, size]),
      unit.get('recurrent_param', [channels]),
    ].map(inF32);
    this.state = layerState(layerId, 'recurrent_state', channels);
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.gates, ...this.perChannel];
  }

  override states(): StateRef[] {
    return [...super.states(), this.state];
  }

  buildGraph(graph: AtbGraph, kind: GraphKind, input: string): string {
    const { lruWidth: channels, numAttentionHeads: heads, hiddenAct } = this.config;
    const headSize = channels / heads;
    const projected = buildLinear(graph, this.xy, input, 'x_y_out');
    const rows = this.conv.buildGraph(graph, projected);
    CommonOpBuilderManager.getBuilder({
      category: 'RECURRENT',
      ...{ opName: 'rg_lru', rule: 'rg_lru', heads, headSize },
    }).build(graph, {
      rows,
      steps: this.buildGatesGraph(graph, rows, headSize),
      perHead: this.perChannel.map(({ name }) => name),
      state: stateTensors(this.state),
      recurrentOut: 'recurrent_out',
    });
    CommonOpBuilderManager.getBuilder({
      category: 'ACTIVATION',
      ...{ opName: 'y_activation', kind: hiddenAct, isGated: false, isPack: false },
    }).build(graph, { input: addColumns(graph, projected, channels, channels, 'y'), actOut: 'y_act' });
    const gated = addGated(graph, 'recurrent_out', 'y_act');
    return buildRowParallelLinear(graph, kind, 'mixed', this.out, gated, 'mixed_out');
  }

  /** `rows` [tokens, channels] -> both gates of each head before their sigmoids, [tokens, 2 * channels]. */
  private buildGatesGraph(graph: AtbGraph, rows: string, headSize: number): string {
    graph.addReshape(rows, 'x_heads', [dim(0), this.config.numAttentionHeads, headSize]);
    const gates = multiplyHeads(graph, 'gates', 'x_heads', this.gates.name);
    graph.addReshape(gates, 'gates_rows', [dim(0), dim(1, 2)]);
    return 'gates_rows';
  }
}

/** The matrices of both gates, which the checkpoint has as [heads, in, out] each, as [heads, 2 * size, size]. */
function gateMatrices(unit: Weights, heads: number, size: number): TensorRef {
  const [input, decay] = ['input_gate_weight', 'recurrent_gate_weight'].map((name) =>
    unit.get(name, [heads, size, size]),
  ) as [TensorRef, TensorRef];
  const matrices = Array.from({ length: heads }, (_, head) => [input, decay].map((of) => expertOf(of, head)));
  const parts = matrices.flat().map(transposed) as [TensorRef, ...TensorRef[]];
  return { ...concatRows(unit.path('gate_weights'), parts), shape: [heads, 2 * size, size] };
}
