import { PredictionStep } from '../../layers/heads/prediction-step.js';
import { ClassificationHead, TextMeans } from '../../layers/heads/row-heads.js';
import type { Weights } from '../../weights/weights.js';
import type { ModernBertConfig } from './config-modernbert.js';

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
