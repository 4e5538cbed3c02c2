import type { AtbGraph } from '../../graph/atb-graph.js';
import { Linear } from '../../weights/linear.js';
import type { Weights } from '../../weights/weights.js';
import { addGated, addNarrowMLP, addSigmoid } from '../linear/gate.js';
import { Module } from '../module.js';
import { BaseRMSNorm, type NormStep } from './norms.js';

/** What it is told by the configuration. */
export interface GatedNormConfig {
  readonly hiddenSize: number;
  readonly rmsNormEps: number;
  /** Numbers of the vector that gates are made of. */
  readonly gatedNormRank: number;
}

/** y * sigmoid(up(silu(down(y)))) of y = norm(x): each number of an RMSNorm has a gate, which a narrow MLP makes. */
export class GatedRMSNorm extends Module implements NormStep {
  readonly norm: BaseRMSNorm;
  readonly down: Linear;
  readonly up: Linear;
  private readonly name: string;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED, WEIGHT_QUANT_*. */
  constructor({ hiddenSize, rmsNormEps, gatedNormRank }: GatedNormConfig, weights: Weights) {
    super();
    const load = (name: string, inFeatures: number, outFeatures: number) =>
      Linear.load(weights, { parts: [{ name, outFeatures }], inFeatures, role: 'gates' });
    this.name = weights.name;
    this.norm = new BaseRMSNorm(weights.at('norm'), hiddenSize, rmsNormEps, undefined, this.name);
    this.down = load('W_down', hiddenSize, gatedNormRank);
    this.up = load('W_up', gatedNormRank, hiddenSize);
  }

  /** `input` [tokens, hidden] -> the same shape. */
  buildGraph(graph: AtbGraph, input: string): string {
    const { name } = this;
    const normed = this.norm.buildGraph(graph, input);
    const gate = addSigmoid(graph, addNarrowMLP(graph, name, this, normed), `${name}_sigmoid`);
    return addGated(graph, normed, gate, `${name}_gated`);
  }
}
