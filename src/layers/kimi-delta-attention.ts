import { CommonOpBuilderManager } from '../common-op-builders/index.js';
import { type AtbGraph, BaseOperation } from '../graph/atb-graph.js';
import type { GraphKind } from '../graph/graph-kind.js';
import { Linear, type LinearOptions } from '../weights/linear.js';
import { asVector, inF32 } from '../weights/weight-changes.js';
import type { TensorRef, Weights } from '../weights/weights.js';
import { layerState, type StateRef } from './cache-ref.js';
import { SplitConv, stateTensors } from './causal-conv.js';
import type { LayerStep } from './decoder-layers.js';
import { addGated, addSigmoid } from './gate.js';
import { buildLinear, buildRowParallelLinear } from './linear-steps.js';
import { Module } from './module.js';
import { HeadNorm } from './norms.js';

/** What it is told by the configuration. */
export interface KimiDeltaConfig {
  readonly hiddenSize: number;
  readonly linearHeads: number;
  /** Of keys, of values, and of the vectors that gates are made of. */
  readonly linearHeadSize: number;
  readonly convTaps: number;
  readonly rmsNormEps: number;
}

/**
 * Linear attention whose state decays by each channel of its keys (arXiv:2510.26692): as `GatedDeltaNet`, with gates of low
 * rank, and sigmoids of what comes last.
 */
export class KimiDeltaAttention extends Module implements LayerStep {
  readonly qkv: Linear;
  readonly down: Linear;
  readonly beta: Linear;
  readonly steps: Linear;
  readonly gate: Linear;
  readonly conv: SplitConv;
  readonly norm: HeadNorm;
  readonly outProj: Linear;
  private readonly perHead: readonly TensorRef[];
  private readonly state: StateRef;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED, WEIGHT_QUANT_*. */
  constructor(
    layerId: number,
    private readonly config: KimiDeltaConfig,
    weights: Weights,
  ) {
    super();
    const { hiddenSize, linearHeads: heads, linearHeadSize: size, convTaps: taps, rmsNormEps } = config;
    const values = heads * size;
    const load = (
      inFeatures: number,
      outFeatures: number,
      names: readonly [string, ...string[]],
      role?: LinearOptions['role'],
    ) => {
      const [first, ...others] = names.map((name) => ({ name, outFeatures }));
      const parts = [first as { name: string; outFeatures: number }, ...others] as const;
      return Linear.load(weights, { name: names.join('_'), parts, inFeatures, ...(role && { role }) });
    };
    this.qkv = load(hiddenSize, values, ['q_proj', 'k_proj', 'v_proj']);
    this.down = load(hiddenSize, size, ['f_a_proj', 'g_a_proj'], 'gates');
    this.beta = load(hiddenSize, heads, ['b_proj'], 'gates');
    this.steps = load(size, values, ['f_b_proj'], 'gates');
    this.gate = load(size, values, ['g_b_proj']);
    const convs = ['q_conv1d', 'k_conv1d', 'v_conv1d'].map((name) => ({ name, channels: values }));
    this.conv = new SplitConv(layerId, weights, convs, { taps, hasBias: false, activates: true });
    this.norm = new HeadNorm(weights.at('o_norm'), { heads, headDim: size }, rmsNormEps);
    this.outProj = load(values, hiddenSize, ['o_proj']);
    const logDecay = asVector(weights.get('A_log', [1, 1, heads, 1]));
    this.perHead = [logDecay, weights.get('dt_bias', [values])].map(inF32);
    this.state = layerState(layerId, 'recurrent_state', values * size);
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), ...this.perHead];
  }

  override states(): StateRef[] {
    return [...super.states(), this.state];
  }

  buildGraph(graph: AtbGraph, kind: GraphKind, input: string): string {
    const { linearHeads: heads, linearHeadSize: size } = this.config;
    const qkv = buildLinear(graph, this.qkv, input, 'qkv_out');
    const down = buildLinear(graph, this.down, input, 'gates_down_out');
    const half = new BaseOperation('Split', { splitDim: 1, splitNum: 2 }, 'gates_split');
    graph.addOperation(half, [down], ['steps_down', 'gate_down']);
    const beta = buildLinear(graph, this.beta, input, 'beta_out');
    const steps = buildLinear(graph, this.steps, 'steps_down', 'steps_out');
    graph.addOperation(
      new BaseOperation('Concat', { concatDim: 1 }, 'gates_concat'),
      [beta, steps],
      ['gates'],
    );
    CommonOpBuilderManager.getBuilder({
      category: 'RECURRENT',
      opName: 'delta_rule',
      ...{ rule: 'gated_delta', keyHeads: heads, valueHeads: heads, keySize: size, valueSize: size },
      ...{ mostBeta: 1, decaysByKey: true },
    }).build(graph, {
      rows: this.conv.buildGraph(graph, qkv),
      steps: 'gates',
      perHead: this.perHead.map(({ name }) => name),
      state: stateTensors(this.state),
      recurrentOut: 'recurrent_out',
    });
    const gate = buildLinear(graph, this.gate, 'gate_down', 'gate_out');
    const gated = addGated(graph, this.norm.buildGraph(graph, 'recurrent_out'), addSigmoid(graph, gate));
    return buildRowParallelLinear(graph, kind, 'dense', this.outProj, gated, 'dense_out');
  }
}
