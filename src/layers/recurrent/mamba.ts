import { CommonOpBuilderManager } from '../../common-op-builders/index.js';
import { type AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { Linear } from '../../weights/linear.js';
import { asTable, asVector, inF32, transposed } from '../../weights/weight-changes.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import { layerState, type StateRef } from '../cache-ref.js';
import type { LayerStep } from '../decoder/decoder-layers.js';
import { beside } from '../formulas/split.js';
import { addColumns, addGate } from '../linear/gate.js';
import { buildLinear, buildRowParallelLinear } from '../linear/linear-steps.js';
import { Module } from '../module.js';
import type { NormStep } from '../norms/norms.js';
import { CausalConv, stateTensors } from './causal-conv.js';

/** What a mixer of Mamba is told by the configuration. */
export interface MambaConfig {
  readonly hiddenSize: number;
  /** Channels, each of which has a state. */
  readonly mambaWidth: number;
  readonly mambaStateSize: number;
  /** Of what steps are made of. */
  readonly stepRank: number;
  readonly convTaps: number;
  readonly convBias: boolean;
  readonly mambaBias: boolean;
}

/** What a scan reads beside what it has of each channel: x, B and C side by side, and steps [tokens, channels]. */
export interface ScanRows {
  readonly rows: string;
  readonly steps: string;
}

/** How a mixer of Mamba projects its input, and what its checkpoint calls what it has of each channel. */
interface MixerParts {
  /** Heads, each with a B and a C of its own. */
  readonly heads: number;
  /** In which order the rows of `in_proj` become x over z; as they lie when absent. */
  readonly rowOrder?: Int32Array;
  readonly logDecay: TensorRef;
  readonly stepBias: TensorRef;
  readonly skip: TensorRef;
}

/** Makes the norm of what steps are made of, of B or of C, by its name in the checkpoint, where it has a weight. */
export type ScanNorm = (weights: Weights, size: number) => NormStep;

/** The norms that some families have, in the order of what `x_proj` gives. */
const NORMS = ['dt_layernorm', 'b_layernorm', 'c_layernorm'];

/**
 * A mixer of Mamba (arXiv:2312.00752): x passes a short convolution, from which steps, B and C are made; each channel has a
 * vector of state in place of a past, and what comes out of it is multiplied by silu(z).
 */
export abstract class BaseMambaMixer extends Module implements LayerStep {
  readonly inProj: Linear;
  readonly conv: CausalConv;
  readonly outProj: Linear;
  protected readonly config: MambaConfig;
  protected readonly heads: number;
  private readonly perChannel: readonly TensorRef[];
  private readonly state: StateRef;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED, WEIGHT_QUANT_*. */
  constructor(layerId: number, config: MambaConfig, weights: Weights, parts: MixerParts) {
    super();
    const { hiddenSize, mambaWidth: channels, mambaStateSize: stateSize, mambaBias } = config;
    this.config = config;
    this.heads = parts.heads;
    this.inProj = Linear.load(weights, {
      parts: [{ name: 'in_proj', outFeatures: 2 * channels, rowOrder: parts.rowOrder }],
      inFeatures: hiddenSize,
      hasBias: mambaBias,
    });
    this.conv = new CausalConv(layerId, weights.at('conv1d'), {
      channels,
      ...{ taps: config.convTaps, hasBias: config.convBias, activates: true },
    });
    this.outProj = Linear.load(weights, {
      parts: [{ name: 'out_proj', outFeatures: hiddenSize }],
      inFeatures: channels,
      hasBias: mambaBias,
    });
    const { logDecay, stepBias, skip } = parts;
    this.perChannel = [transposed(asTable(logDecay)), asVector(stepBias), asVector(skip)].map(inF32);
    this.state = layerState(layerId, 'recurrent_state', channels * stateSize);
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), ...this.perChannel];
  }

  override states(): StateRef[] {
    return [...super.states(), this.state];
  }

  buildGraph(graph: AtbGraph, kind: GraphKind, input: string): string {
    const { mambaWidth: channels, mambaStateSize: stateSize } = this.config;
    const projected = buildLinear(graph, this.inProj, input, 'in_out');
    const { rows, steps } = this.buildScanGraph(graph, this.conv.buildGraph(graph, projected));
    CommonOpBuilderManager.getBuilder({
      category: 'RECURRENT',
      ...{ opName: 'scan', rule: 'mamba', heads: this.heads, headSize: channels / this.heads, stateSize },
    }).build(graph, {
      rows,
      steps,
      perHead: this.perChannel.map(({ name }) => name),
      state: stateTensors(this.state),
      recurrentOut: 'recurrent_out',
    });
    const z = addColumns(graph, projected, channels, channels, 'z');
    const gated = addGate(graph, 'recurrent_out', z);
    return buildRowParallelLinear(graph, kind, 'mixed', this.outProj, gated, 'mixed_out');
  }

  /** `x` [tokens, channels] -> what the scan reads of it. */
  protected abstract buildScanGraph(graph: AtbGraph, x: string): ScanRows;
}

/** The mixer of one head, which norms what steps are made of, B and C in some families. */
export class MambaMixer extends BaseMambaMixer {
  readonly scanProj: Linear;
  readonly norms: readonly NormStep[];
  readonly stepProj: Linear;

  /** Throws what `BaseMambaMixer` throws. */
  constructor(layerId: number, config: MambaConfig, weights: Weights, norm?: ScanNorm) {
    const { mambaWidth: channels, mambaStateSize: stateSize, stepRank } = config;
    super(layerId, config, weights, {
      heads: 1,
      logDecay: weights.get('A_log', [channels, stateSize]),
      // Steps are biased in f32, where the scan reads them.
      stepBias: weights.get('dt_proj.bias', [channels]),
      skip: weights.get('D', [channels]),
    });
    const load = (name: string, inFeatures: number, outFeatures: number) =>
      Linear.load(weights, { parts: [{ name, outFeatures }], inFeatures });
    this.scanProj = load('x_proj', channels, stepRank + 2 * stateSize);
    const sizes = [stepRank, stateSize, stateSize];
    this.norms = norm ? NORMS.map((name, at) => norm(weights.at(name), sizes[at] ?? stateSize)) : [];
    this.stepProj = load('dt_proj', stepRank, channels);
  }

  protected buildScanGraph(graph: AtbGraph, x: string): ScanRows {
    const { rows, low } = this.buildRowsGraph(graph, x);
    return { rows, steps: buildLinear(graph, this.stepProj, low, 'steps') };
  }

  /** `x` [tokens, channels] -> x, B and C side by side, and what steps are made of, [tokens, stepRank]. */
  private buildRowsGraph(graph: AtbGraph, x: string): { readonly rows: string; readonly low: string } {
    const { mambaStateSize: stateSize, stepRank } = this.config;
    const made = buildLinear(graph, this.scanProj, x, 'low_b_c_out');
    const low = addColumns(graph, made, 0, stepRank, 'low');
    const [ofSteps, ofB, ofC] = this.norms;
    if (!ofSteps || !ofB || !ofC) {
      const both = addColumns(graph, made, stepRank, 2 * stateSize, 'b_c');
      return { rows: beside(graph, x, both, 'x_b_c'), low };
    }
    const b = ofB.buildGraph(graph, addColumns(graph, made, stepRank, stateSize, 'b'));
    const c = ofC.buildGraph(graph, addColumns(graph, made, stepRank + stateSize, stateSize, 'c'));
    const rows = beside(graph, x, beside(graph, b, c, 'b_c'), 'x_b_c');
    return { rows, low: ofSteps.buildGraph(graph, low) };
  }
}
