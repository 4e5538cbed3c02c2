import { CommonOpBuilderManager, type Phase, SINGLE_RANK } from '../../common-op-builders/index.js';
import type { AtbGraph } from '../../graph/atb-graph.js';
import { BaseRMSNorm } from '../../layers/base-rms-norm.js';
import type { BaseConfig } from '../../layers/config/index.js';
import type { Module } from '../../layers/module.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import type { BaseLayer } from './base-layer.js';

export type LayerClass = new (layerId: number, config: BaseConfig, weights: Weights) => BaseLayer;

/** Embedding, layers, final norm: `input_ids` [tokens] -> `norm_out` [tokens, hidden]. */
export class BaseModelATB implements Module {
  readonly embedTokens: TensorRef;
  readonly layers: readonly BaseLayer[];
  readonly norm: BaseRMSNorm;

  constructor(config: BaseConfig, weights: Weights, Layer: LayerClass) {
    const { vocabSize, hiddenSize, numHiddenLayers, rmsNormEps } = config;
    this.embedTokens = weights.at('embed_tokens').get('weight', [vocabSize, hiddenSize]);
    this.layers = Array.from(
      { length: numHiddenLayers },
      (_, layerId) => new Layer(layerId, config, weights.at('layers').at(layerId)),
    );
    const last = `hidden_states_${numHiddenLayers}`;
    this.norm = new BaseRMSNorm(weights.at('norm'), hiddenSize, rmsNormEps, last, 'norm_out');
  }

  getWeights(): TensorRef[] {
    const layers = this.layers.flatMap((layer) => layer.getWeights());
    return [this.embedTokens, ...layers, ...this.norm.getWeights()];
  }

  buildGraph(graph: AtbGraph, phase: Phase): void {
    this.buildWordEmbeddingGraph(graph);
    this.buildPositionalEmbeddingGraph(graph);
    for (const layer of this.layers) layer.buildGraph(graph, phase);
    this.norm.buildGraph(graph);
  }

  /** `input_ids` [tokens] -> `hidden_states` [tokens, hidden]. */
  buildWordEmbeddingGraph(graph: AtbGraph): void {
    CommonOpBuilderManager.getBuilder({
      category: 'WORD_EMBEDDING',
      opName: 'word_embedding',
      parallelInfo: SINGLE_RANK,
    }).build(graph, {
      embeddingWeights: this.embedTokens.name,
      inputIds: 'input_ids',
      wordEmbeddingOut: 'hidden_states',
    });
  }

  /** `position_ids` [tokens] -> `cos_embedding` and `sin_embedding` [tokens, headDim]. */
  buildPositionalEmbeddingGraph(graph: AtbGraph): void {
    CommonOpBuilderManager.getBuilder({
      category: 'POSITIONAL_EMBEDDING',
      opName: 'positional_embedding',
    }).build(graph, {
      positionIds: 'position_ids',
      cosTable: 'cos_table',
      sinTable: 'sin_table',
      cosEmbedding: 'cos_embedding',
      sinEmbedding: 'sin_embedding',
    });
  }
}
