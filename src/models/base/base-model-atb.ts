import { CommonOpBuilderManager, SINGLE_RANK } from '../../common-op-builders/index.js';
import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { ROTARY_ROWS } from '../../layers/base-attention.js';
import type { BaseLayer } from '../../layers/base-layer.js';
import { Module } from '../../layers/module.js';
import type { TensorRef, Weights } from '../../weights/weights.js';

/** What a model is made of between its token ids and its head. */
export interface ModelParts {
  /** Makes one layer; `weights` is its own window. */
  layer(layerId: number, weights: Weights): BaseLayer;
  readonly norm: LastStep;
  /** The checkpoint's names of the embedding and of the list of layers. */
  readonly names?: { readonly embedding: string; readonly layers: string };
  /** Of an embedding's row: hiddenSize when absent. */
  readonly embeddingSize?: number | undefined;
}

/** What follows the last layer: `input` [tokens, hidden] -> what the head reads. */
export interface LastStep extends Module {
  buildGraph(graph: AtbGraph, input: string): string;
}

/** Embedding, layers, final norm: `input_ids` [tokens] -> [tokens, hidden]. A family overrides the steps that differ. */
export class BaseModelATB extends Module {
  readonly embedTokens: TensorRef;
  readonly layers: readonly BaseLayer[];
  readonly norm: LastStep;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor(
    config: { readonly vocabSize: number; readonly hiddenSize: number; readonly numHiddenLayers: number },
    weights: Weights,
    { layer, norm, names = { embedding: 'embed_tokens', layers: 'layers' }, embeddingSize }: ModelParts,
  ) {
    super();
    const { vocabSize, hiddenSize, numHiddenLayers } = config;
    this.embedTokens = weights.at(names.embedding).get('weight', [vocabSize, embeddingSize ?? hiddenSize]);
    this.layers = Array.from({ length: numHiddenLayers }, (_, layerId) =>
      layer(layerId, weights.at(names.layers).at(layerId)),
    );
    this.norm = norm;
  }

  override getWeights(): TensorRef[] {
    return [this.embedTokens, ...super.getWeights()];
  }

  /** Adds the model: returns the name of the normalised hidden states, [tokens, hidden]. */
  buildGraph(graph: AtbGraph, kind: GraphKind): string {
    let hidden = this.buildWordEmbeddingGraph(graph);
    this.buildPositionalEmbeddingGraph(graph);
    for (const layer of this.layers) hidden = layer.buildGraph(graph, kind, hidden);
    return this.norm.buildGraph(graph, hidden);
  }

  /** `input_ids` [tokens] -> `hidden_states` [tokens, hidden]. */
  buildWordEmbeddingGraph(graph: AtbGraph): string {
    CommonOpBuilderManager.getBuilder({
      category: 'WORD_EMBEDDING',
      opName: 'word_embedding',
      parallelInfo: SINGLE_RANK,
    }).build(graph, {
      embeddingWeights: this.embedTokens.name,
      inputIds: 'input_ids',
      wordEmbeddingOut: 'hidden_states',
    });
    return 'hidden_states';
  }

  /** `position_ids` [tokens] -> the rows of the rotary tables that all layers read, [tokens, headDim] each. */
  buildPositionalEmbeddingGraph(graph: AtbGraph): void {
    CommonOpBuilderManager.getBuilder({
      category: 'POSITIONAL_EMBEDDING',
      opName: 'positional_embedding',
    }).build(graph, {
      positionIds: 'position_ids',
      cosTable: 'cos_table',
      sinTable: 'sin_table',
      cosEmbedding: ROTARY_ROWS.cos,
      sinEmbedding: ROTARY_ROWS.sin,
    });
  }
}
