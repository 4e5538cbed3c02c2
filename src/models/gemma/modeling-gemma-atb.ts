import { rounded } from '../../dtype.js';
import { OffsetRMSNorm } from '../../layers/norms/norms.js';
import type { Weights } from '../../weights/weights.js';
import { BaseModelATB, type ModelParts, type ModelSizes } from '../base/base-model-atb.js';

/** A model whose embeddings are multiplied by the square root of their width (arXiv:2403.08295, section 2). */
export class GemmaModelATB extends BaseModelATB {
  constructor(
    config: ModelSizes & { readonly rmsNormEps: number },
    weights: Weights,
    layer: ModelParts['layer'],
  ) {
    super(config, weights, {
      layer,
      norm: new OffsetRMSNorm(weights.at('norm'), config.hiddenSize, config.rmsNormEps),
      // The original has it as a number of the weights' dtype: 55.5 for a width of 3072 in bf16, not 55.43.
      embeddingScale: rounded(Math.sqrt(config.hiddenSize), weights.dtype ?? 'bf16'),
    });
  }
}
