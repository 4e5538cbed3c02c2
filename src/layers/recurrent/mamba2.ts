import { CommonOpBuilderManager } from '../../common-op-builders/index.js';
import { type AtbGraph, BaseOperation, dim } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { Linear } from '../../weights/linear.js';
import type { LinearPart } from '../../weights/linear-part.js';
import { constantWeight, inF32 } from '../../weights/weight-changes.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import { layerState, type StateRef } from '../cache-ref.js';
import type { LayerStep } from '../decoder/decoder-layers.js';
import { addColumns, addGate } from '../linear/gate.js';
import { buildLinear, buildRowParallelLinear } from '../linear/linear-steps.js';
import { Module } from '../module.js';
import { addRMSNorm, BaseRMSNorm, type NormStep } from '../norms/norms.js';
import { CausalConv, stateTensors } from './causal-conv.js';

/** What a mixer of Mamba-2 is told by the configuration. */
export interface Mamba2Config {
  readonly hiddenSize: number;
  readonly mambaHeads: number;
  readonly mambaHeadSize: number;
  readonly mambaStateSize: number;
  readonly mambaGroups: number;
  readonly convTaps: number;
  readonly convBias: boolean;
  readonly mambaBias: boolean;
  /** Whether the last projection has one, where that differs. */
  readonly mambaOutBias?: boolean;
  /** Between which steps are kept. */
  readonly stepLimits: readonly [least: number, most: number];
  readonly rmsNormEps: number;
}

/** What each part of the projection of the input is multiplied by. */
export type Mamba2Scales = Readonly<Record<'x' | 'b' | 'c' | 'z' | 'step', number>>;

/** How a family's mixers differ from those of Mamba-2. */
export interface Mamba2Options {
  /** See `AttentionOptions`. */
  readonly outputScale?: number;
  readonly inputScales?: Mamba2Scales;
  /** What the norm is of, which a model may lack: what silu(z) has multiplied when absent, or what it then multiplies. */
  readonly norm?: 'gated' | 'ungated' | 'none';
}

/** In graphs: a layer may have a norm whose own name is the same. */
const GATED_NORM = 'gated_norm';

class GatedRMSNorm extends BaseRMSNorm {
  override readonly name = GATED_NORM;
}

/** x / rms(x) * weight, where each group of neighbours has an rms of its own: [tokens, groups * size] -> the same shape. */
class GroupedRMSNorm extends Module implements NormStep {
  private readonly weight: TensorRef;
  private readonly ones: TensorRef;
  private readonly name = GATED_NORM;

  constructor(
    weights: Weights,
    private readonly groups: number,
    private readonly size: number,
    private readonly epsilon: number,
  ) {
    super();
    this.weight = weights.get('weight', [groups * size]);
    this.ones = constantWeight(weights.path('ones'), [size], 1);
  }

  override getWeights(): TensorRef[] {
    return [this.weight, this.ones];
  }

  buildGraph(graph: AtbGraph, input: string): string {
    const { name, epsilon, ones } = this;
    graph.addReshape(input, `${name}_groups`, [dim(0), this.groups, this.size]);
    addRMSNorm(graph, { name, epsilon, weight: ones }, `${name}_groups`, `${name}_groups_out`);
    graph.addReshape(`${name}_groups_out`, `${name}_unscaled`, [dim(0), dim(1, 2)]);
    const multiply = new BaseOperation('Elewise', { elewiseType: 'ELEWISE_MUL' }, `${name}_mul`);
    graph.addOperation(multiply, [`${name}_unscaled`, this.weight.name], [`${name}_out`]);
    return `${name}_out`;
  }
}

/**
 * The mixer of Mamba-2 (arXiv:2405.21060): x, B and C pass a short convolution, each head has a matrix of state in place of
 * a past, and what comes out of it is multiplied by silu(z) and normed.
 */
export class Mamba2Mixer extends Module implements LayerStep {
  readonly inProj: Linear;
  readonly conv: CausalConv;
  readonly norm: NormStep | undefined;
  readonly outProj: Linear;
  private readonly perHead: readonly TensorRef[];
  private readonly state: StateRef;
  private readonly config: Mamba2Config;
  private readonly inner: number;
  private readonly channels: number;
  private readonly isNormGated: boolean;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED, WEIGHT_QUANT_*. */
  constructor(
    layerId: number,
    config: Mamba2Config,
    weights: Weights,
    { outputScale = 1, inputScales, norm = 'gated' }: Mamba2Options = {},
  ) {
    super();
    const { hiddenSize, mambaHeads: heads, mambaGroups: groups, mambaBias: hasBias, rmsNormEps } = config;
    this.config = config;
    this.isNormGated = norm === 'gated';
    this.inner = heads * config.mambaHeadSize;
    this.channels = this.inner + 2 * groups * config.mambaStateSize;
    this.inProj = Linear.load(weights, {
      name: 'x_b_c_z_step',
      parts: inputParts(this.inner, groups * config.mambaStateSize, heads, inputScales),
      ...{ inFeatures: hiddenSize, hasBias },
    });
    this.conv = new CausalConv(layerId, weights.at('conv1d'), {
      channels: this.channels,
      ...{ taps: config.convTaps, hasBias: config.convBias, activates: true },
    });
    this.norm = norm === 'none' ? undefined : groupedNorm(weights.at('norm'), groups, this.inner, rmsNormEps);
    this.outProj = Linear.load(weights, {
      parts: [{ name: 'out_proj', outFeatures: hiddenSize, times: outputScale }],
      ...{ inFeatures: this.inner, hasBias: config.mambaOutBias ?? hasBias },
    });
    this.perHead = ['A_log', 'dt_bias', 'D'].map((name) => inF32(weights.get(name, [heads])));
    this.state = layerState(layerId, 'recurrent_state', this.inner * config.mambaStateSize);
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), ...this.perHead];
  }

  override states(): StateRef[] {
    return [...super.states(), this.state];
  }

  buildGraph(graph: AtbGraph, kind: GraphKind, input: string): string {
    const { mambaHeads, mambaHeadSize, mambaStateSize, mambaGroups, stepLimits } = this.config;
    const projected = buildLinear(graph, this.inProj, input, 'in_out');
    CommonOpBuilderManager.getBuilder({
      category: 'RECURRENT',
      opName: 'scan',
      ...{ rule: 'mamba2', heads: mambaHeads, headSize: mambaHeadSize, stateSize: mambaStateSize },
      ...{ groups: mambaGroups, steps: stepLimits },
    }).build(graph, {
      rows: this.conv.buildGraph(graph, projected),
      steps: addColumns(graph, projected, this.channels + this.inner, mambaHeads, 'steps'),
      perHead: this.perHead.map(({ name }) => name),
      state: stateTensors(this.state),
      recurrentOut: 'recurrent_out',
    });
    const z = addColumns(graph, projected, this.channels, this.inner, 'z');
    const mixed = this.buildGatedGraph(graph, z);
    return buildRowParallelLinear(graph, kind, 'mixed', this.outProj, mixed, 'mixed_out');
  }

  /** What comes out of the state, normed and gated: [tokens, inner]. */
  private buildGatedGraph(graph: AtbGraph, z: string): string {
    const normed = (input: string) => this.norm?.buildGraph(graph, input) ?? input;
    return this.isNormGated
      ? normed(addGate(graph, 'recurrent_out', z))
      : addGate(graph, normed('recurrent_out'), z);
  }
}

const groupedNorm = (weights: Weights, groups: number, size: number, epsilon: number): NormStep =>
  groups === 1
    ? new GatedRMSNorm(weights, size, epsilon)
    : new GroupedRMSNorm(weights, groups, size / groups, epsilon);

/** The checkpoint has z, x, B, C and steps of one input below each other; what is convolved comes first here. */
function inputParts(
  inner: number,
  state: number,
  heads: number,
  scales: Mamba2Scales | undefined,
): readonly [LinearPart, ...LinearPart[]] {
  const of = 2 * (inner + state) + heads;
  const part = (from: number, outFeatures: number, times?: number) => ({
    name: 'in_proj',
    rows: { of, from },
    ...{ outFeatures, times },
  });
  const convolved: readonly [LinearPart, ...LinearPart[]] = scales
    ? [
        part(inner, inner, scales.x),
        part(2 * inner, state, scales.b),
        part(2 * inner + state, state, scales.c),
      ]
    : [part(inner, inner + 2 * state)];
  return [...convolved, part(0, inner, scales?.z), part(of - heads, heads, scales?.step)];
}
