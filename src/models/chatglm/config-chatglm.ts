import {
  type ConfigOf,
  constant,
  defineConfig,
  type Field,
  field,
  flag,
  fullAttention,
  integer,
  only,
  positive,
  required,
  rotaryConfig,
  textModel,
} from '../../layers/config/index.js';
import type { RopeConfig } from '../../step-inputs/index.js';

const COUNT = integer(1, 2 ** 24);
const LONGEST = 2 ** 31 - 1;

/** The first half of each head turns; neighbours together unless `original_rope` is false. `rope_ratio` stretches the base. */
const rope: Field<RopeConfig, { readonly headDim: number; readonly maxPositionEmbeddings: number }> = {
  read(json, config) {
    const theta = 10_000 * field('rope_ratio', positive(1e6), 1).read(json, {});
    const interleaved = field('original_rope', flag, true).read(json, {});
    return rotaryConfig({ theta, factor: 0.5, interleaved }).read(json, config);
  },
};

/** Heads of keys and values: each head of queries has its own where `multi_query_attention` is not set. */
const keyValueHeads: Field<number, { readonly numAttentionHeads: number; readonly isMultiQuery: boolean }> = {
  read(json, { numAttentionHeads: heads, isMultiQuery }) {
    const groups = field('multi_query_group_num', integer(1, 10_000), 1).read(json, {});
    if (!isMultiQuery) return heads;
    if (heads % groups !== 0)
      json.problem(`num_attention_heads (${heads}) must be a multiple of multi_query_group_num (${groups})`);
    return groups;
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
    vocabSize: field(['padded_vocab_size', 'vocab_size'], COUNT, required),
    maxPositionEmbeddings: field('seq_length', integer(1, LONGEST), required),
    numAttentionHeads: field('num_attention_heads', integer(1, 10_000), required),
    isMultiQuery: field('multi_query_attention', flag, false),
    numKeyValueHeads: keyValueHeads,
    headDim: field('kv_channels', integer(1, 1000), 128),
    intermediateSize: field('ffn_hidden_size', COUNT, required),
    hiddenAct: constant('silu' as const),
    qkvBias,
    denseBias: linearBias,
    mlpBias: linearBias,
    rmsNormEps: field('layernorm_epsilon', positive(1), 1e-5),
    isRmsNorm: field('rmsnorm', flag, true),
    hasFinalNorm: field('post_layer_norm', only(true), true),
    rope,
    slidingWindows: fullAttention,
    // ChatGLM-6B, the first one, is another architecture under the same name.
    isTwoDimensional: field('position_encoding_2d', only(false), false),
    prefixLength: field('pre_seq_len', integer(0, 0), 0),
  },
  irrelevant: {
    apply_query_key_layer_scaling: 'divides scores by the number of a layer and multiplies them by it again',
    attention_softmax_in_fp32: 'the engine computes softmax in f32 anyway',
    bias_dropout_fusion: 'says which kernel of another program adds biases',
    fp32_residual_connection: 'the published code does not read it where it computes',
    prefix_projection: 'belongs to a tuned prefix, which pre_seq_len says is absent',
    quantization_bit: 'the published code quantises at load when it is not 0; here --quantize says so',
  },
});
export type ChatglmConfig = ConfigOf<typeof CHATGLM_CONFIG>;
