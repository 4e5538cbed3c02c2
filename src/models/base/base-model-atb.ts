import { CommonOpBuilderManager, SINGLE_RANK } from '../../common-op-builders/index.js';
import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { ROTARY_ROWS, type RotaryRows, SLIDING_ROTARY_ROWS } from '../../layers/attention/rotary-rows.js';
import type { BaseConfig } from '../../layers/config/index.js';
import type { BaseLayer } from '../../layers/decoder/base-layer.js';
import { addScaled } from '../../layers/formulas/residual.js';
import { Module } from '../../layers/module.js';
import { type ArgumentKind, FUNCTION, OBJECT, requireArgument } from '../../require-argument.js';
import { type RotaryTables, rotaryTables, slidingRotaryTables } from '../../step-inputs/index.js';
import { requireWeights } from '../../weights/require-weights.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import { buildDeepGraph } from './insert-steps.js';

/** What a model is made of between its token ids and its head. */
export interface ModelParts {
  /** Makes one layer; `weights` is its own cursor. */
  layer(layerId: number, weights: Weights): BaseLayer;
  readonly norm: LastStep;
  /** The checkpoint's names of the embedding and of the list of layers. */
  readonly names?: { readonly embedding: string; readonly layers: string };
  /** Of an embedding's row: hiddenSize when absent. */
  readonly embeddingSize?: number | undefined;
  /** What embeddings are multiplied by; they stay when absent. */
  readonly embeddingScale?: number | undefined;
}

/** What a model is told by the configuration, beside what its parts are told. */
export type ModelSizes = Pick<
  BaseConfig,
  'vocabSize' | 'hiddenSize' | 'numHiddenLayers' | 'rope' | 'slidingRope' | 'slidingWindows'
>;

/** What follows the last layer: `input` [tokens, hidden] -> what the head reads. */
export interface LastStep extends Module {
  buildGraph(graph: AtbGraph, input: string): string;
}

const PARTS: ArgumentKind = {
  expected: '{ layer, norm, … } with a function that makes a layer',
  holds: (value) => OBJECT.holds(value) && FUNCTION.holds((value as ModelParts).layer),
};

/** Embedding, layers, final norm: `input_ids` [tokens] -> [tokens, hidden]. A family overrides the steps that differ. */
export class BaseModelATB extends Module {
  readonly embedTokens: TensorRef;
  readonly layers: readonly BaseLayer[];
  readonly norm: LastStep;
  /** What embeddings of words are multiplied by; they stay where it is undefined. */
  readonly embeddingScale: number | undefined;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor(
    private readonly sizes: ModelSizes,
    weights: Weights,
    parts: ModelParts,
  ) {
    super();
    const call = `new ${new.target.name}`;
    requireArgument(call, 'the sizes', OBJECT, sizes);
    requireWeights(call, weights);
    requireArgument(call, 'the parts', PARTS, parts);
    const {
      layer,
      norm,
      names = { embedding: 'embed_tokens', layers: 'layers' },
      embeddingSize = sizes.hiddenSize,
      embeddingScale,
    } = parts;
    const { vocabSize, numHiddenLayers } = sizes;
    this.embedTokens = weights.at(names.embedding).get('weight', [vocabSize, embeddingSize]);
    this.embeddingScale = embeddingScale;
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
    return this.buildLayersGraph(graph, kind, this.buildInputGraph(graph, kind));
  }

  /**
   * Adds the layers and the last norm: `input` [tokens, hidden] -> the normalised hidden states, the same shape.
   * `deepLevels`: behind which layers vectors of an encoder are added, of each another one.
   */
  buildLayersGraph(
    graph: AtbGraph,
    kind: GraphKind,
    input: string,
    deepLevels: readonly number[] = [],
  ): string {
    let hidden = input;
    for (const layer of this.layers) {
      hidden = layer.buildGraph(graph, kind, hidden);
      const level = deepLevels.indexOf(layer.layerId);
      if (level >= 0) hidden = buildDeepGraph(graph, kind, hidden, level);
    }
    return this.norm.buildGraph(graph, hidden);
  }

  /**
   * What layers read: returns its name, and adds rows of positional tables. `embeddings` [tokens, hidden]: those of
   * words when absent.
   */
  buildInputGraph(
    graph: AtbGraph,
    _kind: GraphKind,
    embeddings: string = this.buildWordEmbeddingGraph(graph),
  ): string {
    this.buildPositionalEmbeddingGraph(graph);
    return embeddings;
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
    if (this.embeddingScale === undefined) return 'hidden_states';
    return addScaled(graph, 'hidden_states', this.embeddingScale, 'scaled_hidden_states');
  }

  /**
   * `position_ids` [tokens] -> the rows of rotary tables that layers read, [tokens, headDim] each: none without rotary
   * embedding, and those of layers with a window apart where these have one of their own.
   */
  buildPositionalEmbeddingGraph(graph: AtbGraph): void {
    const { rope, slidingRope, slidingWindows = [] } = this.sizes;
    if (rope === undefined) return;
    // Rows that no layer reads have no place in a graph.
    const isRead = slidingRope === undefined || slidingWindows.includes(undefined);
    if (isRead) buildRotaryRows(graph, 'positional_embedding', rotaryTables(rope), ROTARY_ROWS);
    if (slidingRope === undefined || slidingWindows.every((size) => size === undefined)) return;
    const tables = slidingRotaryTables(slidingRope);
    buildRotaryRows(graph, 'sliding_positional_embedding', tables, SLIDING_ROTARY_ROWS);
  }
}

/** `position_ids` [tokens] -> their rows of `tables`. */
export function buildRotaryRows(
  graph: AtbGraph,
  opName: string,
  tables: RotaryTables,
  rows: RotaryRows,
): void {
  CommonOpBuilderManager.getBuilder({ category: 'POSITIONAL_EMBEDDING', opName }).build(graph, {
    positionIds: 'position_ids',
    cosTable: tables.cos,
    sinTable: tables.sin,
    cosEmbedding: rows.cos,
    sinEmbedding: rows.sin,
  });
}
