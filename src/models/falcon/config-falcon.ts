import {
  activation,
  alibi,
  biases,
  bothSpellings,
  type ConfigOf,
  defineConfig,
  type Field,
  field,
  flag,
  fullAttention,
  integer,
  mlpWidth,
  multiHeadAttention,
  only,
  positive,
  type RotarySizes,
  rotaryOrAlibi,
  textModel,
  type UsesAlibi,
  WIDTH,
} from '../../layers/config/index.js';

type Architecture = {
  readonly isNewArchitecture: boolean;
  readonly isMultiQuery: boolean;
  readonly numAttentionHeads: number;
};

/** 40B's packing says how many heads share keys and values; 7B's has one, and that of before one for each. */
const keyValueHeads: Field<number, Architecture> = {
  read(json, { isNewArchitecture, isMultiQuery, numAttentionHeads: heads }) {
    const said = field('num_kv_heads', integer(1, 10_000), heads).read(json, {});
    const kvHeads = isNewArchitecture ? said : isMultiQuery ? 1 : heads;
    if (heads % kvHeads !== 0)
      json.problem(`num_attention_heads (${heads}) must be a multiple of num_kv_heads (${kvHeads})`);
    return kvHeads;
  },
};

/** The new architecture has no other order of steps. */
const isParallel: Field<boolean, Architecture> = {
  read(json, { isNewArchitecture }) {
    return field('parallel_attn', isNewArchitecture ? only(true) : flag, true).read(json, {});
  },
};

/** Two norms in front of a layer are the new architecture's, which has them where nothing is said. */
const parallelNorms: Field<number, Architecture> = {
  read(json, { isNewArchitecture }) {
    const check = isNewArchitecture ? integer(1, 2) : only(1);
    return field('num_ln_in_parallel_attn', check, isNewArchitecture ? 2 : 1).read(json, {});
  },
};

/** They are scaled as scores are: softmax((q k + slope * distance) / sqrt(headDim)). */
const alibiSlopes: Field<readonly number[] | undefined, UsesAlibi & RotarySizes & Architecture> = {
  read: (json, config) =>
    config.usesAlibi ? alibi.read(json, config).map((slope) => slope / Math.sqrt(config.headDim)) : undefined,
};

/** Defaults of transformers 5.24, FalconConfig. */
export const FALCON_CONFIG = defineConfig({
  fields: {
    ...textModel({ tieWordEmbeddings: true }),
    ...multiHeadAttention,
    ...bothSpellings,
    maxPositionEmbeddings: field('max_position_embeddings', WIDTH, 2048),
    intermediateSize: mlpWidth('ffn_hidden_size'),
    hiddenAct: activation('activation', 'gelu'),
    ...biases({ qkv: 'bias', dense: 'bias', mlp: 'bias' }),
    layerNormEps: field('layer_norm_epsilon', positive(1), 1e-5),
    isNewArchitecture: field('new_decoder_architecture', flag, false),
    isMultiQuery: field('multi_query', flag, true),
    numKeyValueHeads: keyValueHeads,
    isParallel,
    parallelNorms,
    usesAlibi: field('alibi', flag, false),
    rope: rotaryOrAlibi({ theta: 10_000 }),
    alibiSlopes,
    slidingWindows: fullAttention,
  },
});
export type FalconConfig = ConfigOf<typeof FALCON_CONFIG>;
