import { PositionFreeAttention } from '../../layers/attention/attention-orders.js';
import type { AttentionOptions } from '../../layers/attention/base-attention.js';
import type { AttentionConfig } from '../../layers/attention-config.js';
import type { LayerStep, PreNormParts } from '../../layers/decoder/decoder-layers.js';
import { type AddedEmbedding, LearnedPositions, TokenTypes } from '../../layers/decoder/learned-positions.js';
import { type MLPConfig, UngatedMLP } from '../../layers/mlp/mlp.js';
import { BaseLayerNorm } from '../../layers/norms/norms.js';
import type { Weights } from '../../weights/weights.js';

/** Heads that predict words, the pooler where nobody classifies, and the numbers of positions. */
export const HARMLESS_IN_ENCODERS: readonly RegExp[] = [
  /(^|\.)(pooler|cls|lm_head)\./,
  /(^|\.)embeddings\.position_ids$/,
];

/** The checkpoint's names in a layer of BERT's kind, counted from the layer. */
export interface BertLayerNames {
  readonly q: string;
  readonly k: string;
  readonly v: string;
  readonly dense: string;
  readonly attentionNorm: string;
  readonly up: string;
  readonly down: string;
  readonly outputNorm: string;
}

export const BERT_LAYER: BertLayerNames = {
  q: 'attention.self.query',
  k: 'attention.self.key',
  v: 'attention.self.value',
  dense: 'attention.output.dense',
  attentionNorm: 'attention.output.LayerNorm',
  up: 'intermediate.dense',
  down: 'output.dense',
  outputNorm: 'output.LayerNorm',
};

/** What such a layer is told by the configuration. */
export interface BertLayerConfig extends AttentionConfig, MLPConfig {
  readonly layerNormEps: number;
}

/** The attention of such a layer; `weights` is the layer's cursor. */
export const bertAttention = (
  layerId: number,
  weights: Weights,
  config: AttentionConfig,
  { q, k, v, dense }: BertLayerNames = BERT_LAYER,
  options: AttentionOptions = {},
): LayerStep => new PositionFreeAttention(layerId, config, weights, { ...options, qkv: { q, k, v }, dense });

/** A layer's attention, MLP and two norms, in whichever order the model has them; `weights` is the layer's cursor. */
export function bertLayerParts(
  layerId: number,
  weights: Weights,
  config: BertLayerConfig,
  names: BertLayerNames = BERT_LAYER,
  selfAttn: LayerStep = bertAttention(layerId, weights, config, names),
): PreNormParts {
  const { hiddenSize, layerNormEps } = config;
  const norm = (at: string, name: string) =>
    new BaseLayerNorm(weights.at(at), hiddenSize, layerNormEps, { hasBias: true, name });
  const { up, down, attentionNorm, outputNorm } = names;
  return {
    selfAttn,
    inputLayernorm: norm(attentionNorm, 'attention_norm'),
    mlp: new UngatedMLP(config, weights, { names: { up, down } }),
    postAttentionLayernorm: norm(outputNorm, 'output_norm'),
  };
}

/** What the embeddings of such a model are told. */
export interface BertEmbeddingSizes {
  readonly hiddenSize: number;
  /** Rows of the table of positions; 0: there is none. */
  readonly positionTable: number;
  /** Types of tokens that have an embedding; 0: there are none. */
  readonly typeVocabSize: number;
  readonly layerNormEps: number;
}

/** What is added to the embeddings of words; `weights` is the window of the embeddings. */
export function bertAdditions(
  weights: Weights,
  { hiddenSize, positionTable, typeVocabSize }: Omit<BertEmbeddingSizes, 'layerNormEps'>,
): AddedEmbedding[] {
  const [table, types] = [weights.at('position_embeddings'), weights.at('token_type_embeddings')];
  return [
    ...(positionTable === 0 ? [] : [new LearnedPositions(table, { count: positionTable, hiddenSize })]),
    ...(typeVocabSize === 0 ? [] : [new TokenTypes(types, { count: typeVocabSize, hiddenSize })]),
  ];
}

/** The same, and the norm of the sums. */
export const bertEmbeddings = (weights: Weights, sizes: BertEmbeddingSizes) => ({
  added: bertAdditions(weights, sizes),
  norm: new BaseLayerNorm(weights.at('LayerNorm'), sizes.hiddenSize, sizes.layerNormEps, {
    hasBias: true,
    name: 'embedding_norm',
  }),
});
