import type { DistanceTerm } from '../../layers/attention/disentangled-attention.js';
import {
  activation,
  type ConfigOf,
  defineConfig,
  ENCODER_IRRELEVANT,
  encoder,
  type Field,
  field,
  flag,
  integer,
  keysBecause,
  LENGTH,
  listOf,
  oneOf,
  only,
  positive,
} from '../../layers/config/index.js';
import type { SignedBuckets } from '../../step-inputs/index.js';

const TERM = oneOf<DistanceTerm>('c2p', 'p2c');

/** Which terms scores have: a list, or names between bars as older files have them. */
const positionTerms: Field<readonly DistanceTerm[]> = {
  read(json) {
    const found = json.raw('pos_att_type') ?? [];
    const names = typeof found === 'string' ? found.toLowerCase().split('|') : found;
    const spelt = Array.isArray(names) ? names.map((name) => String(name).trim()) : names;
    const terms = json.check('pos_att_type', spelt, listOf(TERM, 'c2p and p2c')) ?? [];
    return [...new Set(terms)].sort();
  },
};

/** Buckets of distances: files write -1 where there are none, and where all positions are known. */
const distanceBuckets: Field<SignedBuckets, { readonly maxPositionEmbeddings: number }> = {
  read(json, { maxPositionEmbeddings: all }) {
    const size = (name: string): number => Math.max(json.value(name, integer(-1, 2 ** 20)) ?? -1, 0);
    return { buckets: size('position_buckets'), farthest: size('max_relative_positions') || all };
  },
};

/** What has a width of its own in some models, and is not built in another than that of the hidden states. */
const asWideAsHidden = (name: string): Field<number, { readonly hiddenSize: number }> => ({
  read: (json, { hiddenSize }) => field(name, only(hiddenSize), hiddenSize).read(json, {}),
});

const attentionHeadSize: Field<number, { readonly headDim: number }> = {
  read: (json, { headDim }) => field('attention_head_size', only(headDim), headDim).read(json, {}),
};

/** Rows of the table of positions; 0 in models that know positions by distances alone. */
const positionTable: Field<number, { readonly maxPositionEmbeddings: number }> = {
  read: (json, { maxPositionEmbeddings }) =>
    field('position_biased_input', flag, true).read(json, {}) ? maxPositionEmbeddings : 0,
};

const learnedPositions: Field<number, { readonly positionTable: number }> = {
  read: (_, { positionTable }) => positionTable || Number.POSITIVE_INFINITY,
};

/** Of a model without relative positions the terms count all the same, but nothing is added. */
const distanceTerms: Field<
  readonly DistanceTerm[],
  { readonly positionTerms: readonly DistanceTerm[]; readonly isRelative: boolean }
> = { read: (_, { positionTerms, isRelative }) => (isRelative ? positionTerms : []) };

const scoreScale: Field<
  number,
  { readonly positionTerms: readonly DistanceTerm[]; readonly headDim: number }
> = { read: (_, { positionTerms, headDim }) => 1 / Math.sqrt(headDim * (1 + positionTerms.length)) };

/** What both generations say alike, with defaults of transformers 5.24. */
export const DEBERTA_FIELDS = {
  ...encoder({ typeVocabSize: 0, padTokenId: 0, biases: { qkv: true, dense: true, mlp: true } }),
  // The output projection takes heads that make up the hidden states.
  attentionHeadSize,
  layerNormEps: field('layer_norm_eps', positive(1), 1e-7),
  maxPositionEmbeddings: field('max_position_embeddings', LENGTH, 512),
  positionTable,
  isRelative: field('relative_attention', flag, false),
  positionTerms,
  distanceTerms,
  scoreScale,
  poolerAct: activation('pooler_hidden_act', 'gelu'),
  poolerSize: asWideAsHidden('pooler_hidden_size'),
  embeddingSize: asWideAsHidden('embedding_size'),
  learnedPositions,
};

export const DEBERTA_IRRELEVANT = {
  ...ENCODER_IRRELEVANT,
  ...keysBecause('is used in training alone', 'pooler_dropout', 'cls_dropout'),
  legacy: 'belongs to a head that predicts words',
  position_embedding_type: 'DebertaV2Model reads relative_attention and position_biased_input',
};

/** An odd number, so that as many tokens come out as go in; 0 stands for no convolution. */
const convTaps: Field<number> = {
  read(json) {
    const found = json.value('conv_kernel_size', integer(0, 63)) ?? 0;
    if (found > 0 && found % 2 === 0) json.problem(`conv_kernel_size must be odd or 0, found ${found}`);
    return found;
  },
};

/** Defaults of transformers 5.24, DebertaV2Config and DebertaV2Model. */
export const DEBERTA_V2_CONFIG = defineConfig({
  fields: {
    ...DEBERTA_FIELDS,
    distanceBuckets,
    distanceNorm: field('norm_rel_ebd', oneOf('none', 'layer_norm'), 'none' as const),
    sharesProjections: field('share_att_key', flag, false),
    // Behind the first layer, as the larger models of the second generation have it.
    convTaps,
    convAct: field('conv_act', oneOf('tanh', 'gelu', 'relu'), 'tanh' as const),
    convGroups: field('conv_groups', only(1), 1),
  },
  irrelevant: DEBERTA_IRRELEVANT,
});
export type DebertaV2Config = ConfigOf<typeof DEBERTA_V2_CONFIG>;
