import type { ActivationKind } from '../../common-op-builders/index.js';
import type { AtbGraph } from '../../graph/atb-graph.js';
import type { Linear } from '../../weights/linear.js';
import type { Weights } from '../../weights/weights.js';
import { buildLinear } from '../linear/linear-steps.js';
import { Module } from '../module.js';
import { BaseLayerNorm } from '../norms/norms.js';
import { buildHeadActivation, headLinear, type RowStep } from './row-heads.js';

/** What it is told by the configuration. */
interface PredictionConfig {
  readonly hiddenSize: number;
  readonly classifierBias: boolean;
  readonly classifierAct: ActivationKind;
  readonly layerNormEps: number;
  readonly normBias: boolean;
}

/** norm(act(dense(x))) (transformers 5.24, ModernBertPredictionHead). */
export class PredictionStep extends Module implements RowStep {
  readonly dense: Linear;
  readonly norm: BaseLayerNorm;

  constructor(
    private readonly config: PredictionConfig,
    weights: Weights,
  ) {
    super();
    const { hiddenSize, classifierBias: hasBias, layerNormEps, normBias } = config;
    this.dense = headLinear(weights, 'dense', { inFeatures: hiddenSize, outFeatures: hiddenSize, hasBias });
    this.norm = new BaseLayerNorm(weights.at('norm'), hiddenSize, layerNormEps, {
      hasBias: normBias,
      name: 'head_norm',
    });
  }

  buildGraph(graph: AtbGraph, input: string): string {
    const dense = buildLinear(graph, this.dense, input, 'head_dense_out');
    return this.norm.buildGraph(graph, buildHeadActivation(graph, this.config.classifierAct, dense));
  }
}
