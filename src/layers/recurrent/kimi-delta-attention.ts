import { CommonOpBuilderManager } from '../../common-op-builders/index.js';
import { type AtbGraph, BaseOperation } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { Linear, type LinearOptions } from '../../weights/linear.js';
import { asVector, inF32 } from '../../weights/weight-changes.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import { layerState, type StateRef } from '../cache-ref.js';
import type { LayerStep } from '../decoder/decoder-layers.js';
import { beside } from '../formulas/split.js';
import { addGated, addSigmoid } from '../linear/gate.js';
import { buildLinear, buildRowParallelLinear } from '../linear/linear-steps.js';
import { Module } from '../module.js';
import { HeadNorm } from '../norms/norms.js';
import { SplitConv, stateTensors } from './causal-conv.js';

/** What it is told by the configuration. */
export interface KimiDeltaConfig {
  readonly hiddenSize: number;
  readonly linearHeads: number;
  /** Of keys, and of values. */
  readonly linearHeadSize: number;
  /** Numbers of the vectors that gates are made of; undefined where they are made of the hidden state itself. */
  readonly gateRank: number | undefined;
  /** What logarithms of decays stay above; they have no such bound when absent. */
  readonly decayBound?: number | undefined;
  readonly convTaps: number;
  readonly rmsNormEps: number;
}

/** How checkpoints differ. */
export interface KimiDeltaNames {
  /** The projection of what comes out. */
  readonly dense?: string;
  /** The shape of `A_log`, which has a number for each head. */
  readonly logDecayShape?: (heads: number) => readonly number[];
}

/**
 * Linear attention whose state decays by each channel of its keys (arXiv:2510.26692): as `GatedDeltaNet`, with sigmoids of
 * what comes last. Gates are of low rank, or projections of the input.
 */
export class KimiDeltaAttention extends Module implements LayerStep {
  readonly qkv: Linear;
  readonly down: Linear | undefined;
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
    { dense = 'o_proj', logDecayShape = (heads) => [1, 1, heads, 1] }: KimiDeltaNames = {},
  ) {
    super();
    const { hiddenSize, linearHeads: heads, linearHeadSize: size, convTaps: taps, rmsNormEps } = config;
    const { gateRank: rank } = config;
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
    if (rank !== undefined) this.down = load(hiddenSize, rank, ['f_a_proj', 'g_a_proj'], 'gates');
    this.beta = load(hiddenSize, heads, ['b_proj'], 'gates');
    this.steps = load(rank ?? hiddenSize, values, [rank === undefined ? 'f_proj' : 'f_b_proj'], 'gates');
    this.gate = load(rank ?? hiddenSize, values, [rank === undefined ? 'g_proj' : 'g_b_proj']);
    const convs = ['q_conv1d', 'k_conv1d', 'v_conv1d'].map((name) => ({ name, channels: values }));
    this.conv = new SplitConv(layerId, weights, convs, { taps, hasBias: false, activates: true });
    this.norm = new HeadNorm(weights.at('o_norm'), { heads, headDim: size }, rmsNormEps);
    this.outProj = load(values, hiddenSize, [dense]);
    const logDecay = asVector(weights.get('A_log', logDecayShape(heads)));
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
    const { linearHeads: heads, linearHeadSize: size, decayBound: lowerBound } = this.config;
    const qkv = buildLinear(graph, this.qkv, input, 'qkv_out');
    const [ofSteps, ofGate] = this.buildDownGraph(graph, input);
    const beta = buildLinear(graph, this.beta, input, 'beta_out');
    const steps = buildLinear(graph, this.steps, ofSteps, 'steps_out');
    beside(graph, beta, steps, 'gates');
    CommonOpBuilderManager.getBuilder({
      category: 'RECURRENT',
      opName: 'delta_rule',
      ...{ rule: 'gated_delta', keyHeads: heads, valueHeads: heads, keySize: size, valueSize: size },
      ...{ mostBeta: 1, decaysByKey: true, lowerBound },
    }).build(graph, {
      rows: this.conv.buildGraph(graph, qkv),
      steps: 'gates',
      perHead: this.perHead.map(({ name }) => name),
      state: stateTensors(this.state),
      recurrentOut: 'recurrent_out',
    });
    const gate = buildLinear(graph, this.gate, ofGate, 'gate_out');
    const gated = addGated(graph, this.norm.buildGraph(graph, 'recurrent_out'), addSigmoid(graph, gate));
    return buildRowParallelLinear(graph, kind, 'dense', this.outProj, gated, 'dense_out');
  }

  /** What steps and what gates are made of: vectors of low rank, or `input` itself. */
  private buildDownGraph(graph: AtbGraph, input: string): readonly [steps: string, gate: string] {
    if (this.down === undefined) return [input, input];
    const down = buildLinear(graph, this.down, input, 'gates_down_out');
    const half = new BaseOperation('Split', { splitDim: 1, splitNum: 2 }, 'gates_split');
    graph.addOperation(half, [down], ['steps_down', 'gate_down']);
    return ['steps_down', 'gate_down'];
  }
}
