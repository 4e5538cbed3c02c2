import {
  bothSpellings,
  type ConfigOf,
  constant,
  contextLength,
  defineConfig,
  type Field,
  field,
  flag,
  fullAttention,
  integer,
  keysBecause,
  longestContext,
  only,
  positive,
  required,
  rotaryConfig,
  textModel,
  WIDTH,
} from '../../layers/config/index.js';

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

/** `intermediate_size` counts gate and up together. */
const intermediateSize: Field<number> = {
  read(json) {
    const both = field(['intermediate_size', 'ffn_hidden_size'], WIDTH, required).read(json, {});
    return both % 2 === 0 ? both / 2 : json.fail(`intermediate_size must be even, found ${both}`);
  },
};

const hasBias: Field<boolean> = { read: (json) => !field('no_bias', flag, true).read(json, {}) };

/** Defaults of the published configuration_qwen.py. */
export const QWEN_CONFIG = defineConfig({
  fields: {
    ...textModel({ tieWordEmbeddings: false }),
    ...bothSpellings,
    numKeyValueHeads,
    headDim: field('kv_channels', integer(1, 1000), 128),
    intermediateSize,
    hiddenAct: constant('silu' as const),
    qkvBias: constant(true),
    denseBias: hasBias,
    mlpBias: hasBias,
    rmsNormEps: field('layer_norm_epsilon', positive(1), 1e-6),
    isStretched,
    longestContext: longestContext(
      'seq_length of config.json: what use_dynamic_ntk and use_logn_attn do beyond it is not built',
      ({ isStretched }: { readonly isStretched: boolean }, json) => {
        const trained = field('seq_length', WIDTH, 8192).read(json, {});
        return isStretched ? trained : undefined;
      },
    ),
    maxPositionEmbeddings: contextLength(['max_position_embeddings', 'n_positions'], 8192),
    rope: rotaryConfig({
      theta: 10_000,
      thetaNames: ['rotary_emb_base', 'rope_theta'],
      factorNames: 'rotary_pct',
    }),
    slidingWindows: fullAttention,
    activation: field('activation', only('swiglu'), 'swiglu'),
    positions: field('pos_emb', only('rotary'), 'rotary'),
    scalesScores: field('scale_attn_weights', only(true), true),
  },
  irrelevant: keysBecause('is a dtype that the published code casts to', 'bf16', 'fp16', 'fp32'),
});
export type QwenConfig = ConfigOf<typeof QWEN_CONFIG>;
