import {
  type ConfigOf,
  constant,
  defineConfig,
  type Field,
  field,
  flag,
  fullAttention,
  integer,
  type LongestContext,
  only,
  positive,
  required,
  rotaryConfig,
  textModel,
} from '../../layers/config/index.js';

const COUNT = integer(1, 2 ** 24);

const numKeyValueHeads: Field<number, { readonly numAttentionHeads: number }> = {
  read: (_, { numAttentionHeads }) => numAttentionHeads,
};

/** Beyond the length of training, these two change scores by the length of the whole context; within it they do nothing. */
const isStretched: Field<boolean> = {
  read(json) {
    const [ntk, logn] = ['use_dynamic_ntk', 'use_logn_attn'].map((name) =>
      field(name, flag, true).read(json, {}),
    );
    return ntk === true || logn === true;
  },
};

/** The length of training, where a longer context is another computation. */
const longestContext: Field<LongestContext | undefined, { readonly isStretched: boolean }> = {
  read(json, config) {
    const tokens = field('seq_length', COUNT, 8192).read(json, {});
    const because =
      'seq_length of config.json: what use_dynamic_ntk and use_logn_attn do beyond it is not built';
    return config.isStretched ? { tokens, because } : undefined;
  },
};

const maxPositionEmbeddings: Field<number, { readonly longestContext: LongestContext | undefined }> = {
  read(json, config) {
    const length = field(['max_position_embeddings', 'n_positions'], COUNT, 8192).read(json, {});
    return Math.min(length, config.longestContext?.tokens ?? length);
  },
};

/** `intermediate_size` counts gate and up together. */
const intermediateSize: Field<number> = {
  read(json) {
    const both = field('intermediate_size', COUNT, required).read(json, {});
    return both % 2 === 0 ? both / 2 : json.fail(`intermediate_size must be even, found ${both}`);
  },
};

const hasBias: Field<boolean> = { read: (json) => !field('no_bias', flag, true).read(json, {}) };

/** Defaults of the published configuration_qwen.py. */
export const QWEN_CONFIG = defineConfig({
  fields: {
    ...textModel({ tieWordEmbeddings: false }),
    hiddenSize: field(['hidden_size', 'n_embd'], COUNT, required),
    numHiddenLayers: field(['num_hidden_layers', 'n_layer'], integer(1, 1000), required),
    numAttentionHeads: field(['num_attention_heads', 'n_head'], integer(1, 10_000), required),
    numKeyValueHeads,
    headDim: field('kv_channels', integer(1, 1000), 128),
    intermediateSize,
    hiddenAct: constant('silu' as const),
    qkvBias: constant(true),
    denseBias: hasBias,
    mlpBias: hasBias,
    rmsNormEps: field('layer_norm_epsilon', positive(1), 1e-6),
    isStretched,
    longestContext,
    maxPositionEmbeddings,
    rope: rotaryConfig({ theta: 10_000, thetaNames: 'rotary_emb_base', factorNames: 'rotary_pct' }),
    slidingWindows: fullAttention,
    scalesScores: field('scale_attn_weights', only(true), true),
  },
  irrelevant: {
    ...Object.fromEntries(
      ['bf16', 'fp16', 'fp32'].map((key) => [key, 'is a dtype that the published code casts to']),
    ),
    attn_dropout_prob: 'is used in training alone',
    emb_dropout_prob: 'is used in training alone',
    onnx_safe: 'says how another program is exported',
    softmax_in_fp32: 'the engine computes softmax in f32 anyway',
    use_cache_kernel: 'says which kernel of another program attends',
    use_cache_quantization: 'says what another program keeps its cache in',
  },
});
export type QwenConfig = ConfigOf<typeof QWEN_CONFIG>;
