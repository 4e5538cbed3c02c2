import type { AtbGraph } from '../../graph/atb-graph.js';
import { buildLinear } from '../../layers/linear-steps.js';
import { Module } from '../../layers/module.js';
import { BaseLayerNorm } from '../../layers/norms.js';
import {
  buildHeadActivation,
  ClassificationHead,
  headLinear,
  type RowStep,
  TextMeans,
} from '../../layers/row-heads.js';
import type { Linear } from '../../weights/linear.js';
import type { Weights } from '../../weights/weights.js';
import type { ModernBertConfig } from './config-modernbert.js';

/** norm(act(dense(x))) (transformers 5.24, ModernBertPredictionHead). */
class PredictionStep extends Module implements RowStep {
  readonly dense: Linear;
  readonly norm: BaseLayerNorm;

  constructor(
    private readonly config: ModernBertConfig,
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

/** The head of a classifier, which reads a text's first token or the mean of all; undefined where there are no labels. */
export function classifierOf(weights: Weights, config: ModernBertConfig): ClassificationHead | undefined {
  const { hiddenSize, labels, classifierPooling } = config;
  if (labels === undefined) return undefined;
  return new ClassificationHead(weights, {
    hiddenSize,
    labels,
    name: 'classifier',
    hasBias: true,
    step: new PredictionStep(config, weights.at('head')),
    ...(classifierPooling === 'mean' && { rows: new TextMeans(config) }),
  });
}
