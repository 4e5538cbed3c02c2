import {
  type ConfigOf,
  constant,
  defineConfig,
  type Field,
  field,
  flag,
  fullAttention,
  integer,
  keyValueHeads,
  LENGTH,
  only,
  positive,
  required,
  rotaryConfig,
  textModel,
  WIDTH,
} from '../../layers/config/index.js';
import type { RopeConfig } from '../../step-inputs/index.js';

/** The first half of each head turns; neighbours together unless `original_rope` is false. `rope_ratio` stretches the base. */
const rope: Field<RopeConfig, { readonly headDim: number; readonly maxPositionEmbeddings: number }> = {
  read(json, config) {
    const theta = 10_000 * field('rope_ratio', positive(1e6), 1).read(json, {});
    const interleaved = field('original_rope', flag, true).read(json, {});
    return rotaryConfig({ theta, factor: 0.5, interleaved }).read(json, config);
  },
};

/** Heads of keys and values: each head of queries has its own where `multi_query_attention` is not set. */
type Heads = { readonly numAttentionHeads: number; readonly isMultiQuery: boolean };
const numKeyValueHeads: Field<number, Heads> = {
  read(json, config) {
    const groups = keyValueHeads(1, 'multi_query_group_num').read(json, config);
    return config.isMultiQuery ? groups : config.numAttentionHeads;
  },
};

const linearBias = field('add_bias_linear', flag, false);
const qkvBias: Field<boolean> = {
  read: (json) => field('add_qkv_bias', flag, false).read(json, {}) || linearBias.read(json, {}),
};

/** Defaults of the published configuration_chatglm.py of ChatGLM2, which those of ChatGLM3 and GLM-4 keep. */
export const CHATGLM_CONFIG = defineConfig({
  fields: {
    ...textModel({ tieWordEmbeddings: false }),
    tieWordEmbeddings: field('tie_word_embeddings', only(false), false),
    numHiddenLayers: field(['num_layers', 'num_hidden_layers'], integer(1, 1000), required),
    vocabSize: field(['padded_vocab_size', 'vocab_size'], WIDTH, required),
    maxPositionEmbeddings: field('seq_length', LENGTH, required),
    numAttentionHeads: field('num_attention_heads', integer(1, 10_000), required),
    isMultiQuery: field('multi_query_attention', flag, false),
    numKeyValueHeads,
    headDim: field('kv_channels', integer(1, 1000), 128),
    intermediateSize: field('ffn_hidden_size', WIDTH, required),
    hiddenAct: constant('silu' as const),
    qkvBias,
    denseBias: linearBias,
    mlpBias: linearBias,
    rmsNormEps: field('layernorm_epsilon', positive(1), 1e-5),
    isRmsNorm: field('rmsnorm', flag, true),
    rope,
    slidingWindows: fullAttention,
  },
  irrelevant: { apply_query_key_layer_scaling: 'multiplies scores by what it divides them by' },
});
export type ChatglmConfig = ConfigOf<typeof CHATGLM_CONFIG>;
