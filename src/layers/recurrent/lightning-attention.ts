import { CommonOpBuilderManager } from '../../common-op-builders/index.js';
import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { Linear } from '../../weights/linear.js';
import { groupedRows } from '../../weights/row-orders.js';
import { constantRuns, constantWeight, inF32 } from '../../weights/weight-changes.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import { layerState, type StateRef } from '../cache-ref.js';
import type { LayerStep } from '../decoder/decoder-layers.js';
import { addColumns, addGated, addSigmoid } from '../linear/gate.js';
import { buildLinear, buildRowParallelLinear } from '../linear/linear-steps.js';
import { Module } from '../module.js';
import { BaseRMSNorm } from '../norms/norms.js';
import { stateTensors } from './causal-conv.js';

/** What it is told by the configuration. */
export interface LightningConfig {
  readonly hiddenSize: number;
  readonly numHiddenLayers: number;
  readonly numAttentionHeads: number;
  readonly headDim: number;
}

/** Of the norm, whatever other norms of the model have. */
const EPSILON = 1e-6;

/**
 * Lightning attention (arXiv:2501.08313, section 2.2.2): linear attention whose heads each forget at a rate of their own, and
 * whose results are normed and multiplied by sigmoids. It is a scan of Mamba-2 whose steps are all 1: x, B and C are values,
 * keys and queries.
 */
export class LightningAttention extends Module implements LayerStep {
  readonly vkq: Linear;
  readonly norm: BaseRMSNorm;
  readonly gate: Linear;
  readonly outProj: Linear;
  private readonly perHead: readonly TensorRef[];
  private readonly state: StateRef;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED, WEIGHT_QUANT_*. */
  constructor(
    layerId: number,
    private readonly config: LightningConfig,
    weights: Weights,
  ) {
    super();
    const { hiddenSize: inFeatures, numAttentionHeads: heads, headDim } = config;
    const values = heads * headDim;
    const [q, k, v] = groupedRows({ groups: heads, headsPerGroup: [1, 1, 1], headDim });
    const part = (rows: typeof q) => ({ name: 'qkv_proj', outFeatures: values, rows });
    this.vkq = Linear.load(weights, { name: 'v_k_q', parts: [part(v), part(k), part(q)], inFeatures });
    this.norm = new BaseRMSNorm(weights.at('norm'), values, EPSILON);
    const load = (name: string, from: number, outFeatures: number) =>
      Linear.load(weights, { parts: [{ name, outFeatures }], inFeatures: from });
    this.gate = load('output_gate', inFeatures, values);
    this.outProj = load('out_proj', values, inFeatures);
    const zeros = (name: string) => constantWeight(weights.path(name), [heads], 0);
    this.perHead = [logRates(layerId, config, weights), zeros('step_bias'), zeros('skip')].map(inF32);
    this.state = layerState(layerId, 'recurrent_state', values * headDim);
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), ...this.perHead];
  }

  override states(): StateRef[] {
    return [...super.states(), this.state];
  }

  buildGraph(graph: AtbGraph, kind: GraphKind, input: string): string {
    const { numAttentionHeads: heads, headDim } = this.config;
    CommonOpBuilderManager.getBuilder({
      category: 'ACTIVATION',
      ...{ opName: 'v_k_q_act', kind: 'silu', isGated: false, isPack: false },
    }).build(graph, { input: buildLinear(graph, this.vkq, input, 'v_k_q_out'), actOut: 'v_k_q' });
    CommonOpBuilderManager.getBuilder({
      category: 'RECURRENT',
      ...{ opName: 'scan', rule: 'mamba2', heads, headSize: headDim, stateSize: headDim },
      ...{ groups: heads, steps: [1, 1] as const },
    }).build(graph, {
      rows: 'v_k_q',
      // Any numbers: steps are kept between 1 and 1.
      steps: addColumns(graph, 'v_k_q', 0, heads, 'steps'),
      perHead: this.perHead.map(({ name }) => name),
      state: stateTensors(this.state),
      recurrentOut: 'recurrent_out',
    });
    const normed = this.norm.buildGraph(graph, 'recurrent_out');
    const gate = addSigmoid(graph, buildLinear(graph, this.gate, input, 'output_gate_out'));
    const gated = addGated(graph, normed, gate);
    return buildRowParallelLinear(graph, kind, 'mixed', this.outProj, gated, 'mixed_out');
  }
}

/** Logarithms of the rates at which the heads of a layer forget: slopes of ALiBi, which later layers have less of. */
function logRates(layerId: number, config: LightningConfig, weights: Weights): TensorRef {
  const { numHiddenLayers, numAttentionHeads: heads } = config;
  const ofLayer = 1 - layerId / (numHiddenLayers - 1 + 1e-5) + 1e-5;
  const logs = Array.from({ length: heads }, (_, head) =>
    Math.log(2 ** ((-8 * (head + 1)) / heads) * ofLayer),
  );
  return constantRuns(
    weights.path('log_rates'),
    logs.map((log) => [1, log]),
  );
}
