import { rounded } from '../../dtype.js';
import type { AtbGraph } from '../../graph/atb-graph.js';
import type { BaseLayer } from '../../layers/base-layer.js';
import { OffsetRMSNorm } from '../../layers/norms.js';
import { addScaled } from '../../layers/residual.js';
import type { Weights } from '../../weights/weights.js';
import { BaseModelATB } from '../base/base-model-atb.js';

/** Sizes that the model itself has, beside those of its layers. */
type GemmaSizes = ConstructorParameters<typeof BaseModelATB>[0] & { readonly rmsNormEps: number };

/** A model whose embeddings are multiplied by the square root of their width (arXiv:2403.08295, section 2). */
export class GemmaModelATB extends BaseModelATB {
  private readonly embeddingScale: number;

  constructor(config: GemmaSizes, weights: Weights, layer: (layerId: number, weights: Weights) => BaseLayer) {
    super(config, weights, {
      layer,
      norm: new OffsetRMSNorm(weights.at('norm'), config.hiddenSize, config.rmsNormEps),
    });
    const run = weights.dtype ?? 'bf16';
    // The original has it as a number of the weights' dtype: 55.5 for a width of 3072 in bf16, not 55.43.
    this.embeddingScale = rounded(Math.sqrt(config.hiddenSize), run);
  }

  override buildWordEmbeddingGraph(graph: AtbGraph): string {
    const embedded = super.buildWordEmbeddingGraph(graph);
    return addScaled(graph, embedded, this.embeddingScale, 'scaled_hidden_states');
  }
}
