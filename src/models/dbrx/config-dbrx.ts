import {
  activation,
  biases,
  type ConfigOf,
  defineConfig,
  EXPERTS,
  expertsPerToken,
  type Field,
  field,
  fullAttention,
  groupedQueryAttention,
  HEADS,
  keysBecause,
  keyValueHeads,
  LAYERS,
  LLAMA_DEFAULTS,
  only,
  positive,
  type RotarySizes,
  required,
  rotaryConfig,
  SIZE,
  textModel,
  WIDTH,
  within,
} from '../../layers/config/index.js';
import type { RopeConfig } from '../../step-inputs/index.js';

/** The published code reads the base in `attn_config`, transformers 5.24 beside it: both must mean the same. */
const rope: Field<RopeConfig, RotarySizes & { readonly attentionTheta: number | undefined }> = {
  read(json, config) {
    const { attentionTheta } = config;
    const found = rotaryConfig({ theta: attentionTheta ?? 10_000 }).read(json, config);
    if (attentionTheta !== undefined && found.theta !== attentionTheta)
      json.problem(
        `attn_config.rope_theta and rope_theta contradict each other: ${attentionTheta} and ${found.theta}`,
      );
    return found;
  },
};

/** Null leaves weights as they are; 1 divides them by their sum. */
const normTopkProb: Field<boolean> = {
  read(json) {
    const name = 'moe_normalize_expert_weights';
    return !json.isNull(name) && field(name, only(1), 1).read(json, {}) === 1;
  },
};

const hiddenAct: ReturnType<typeof activation> = {
  read(json, config) {
    const section = json.section('ffn_act_fn');
    return section ? activation('name', 'silu').read(section, config) : 'silu';
  },
};

/** What configurations of every kind say, within others. */
const GENERAL = ['add_cross_attention', 'is_decoder', 'is_encoder_decoder', 'tie_word_embeddings'];
const DTYPES = ['dtype', 'torch_dtype'];

/** Defaults of transformers 5.24, DbrxConfig. */
export const DBRX_CONFIG = defineConfig({
  fields: {
    ...textModel({ tieWordEmbeddings: false }),
    hiddenSize: field(['d_model', 'hidden_size'], SIZE, required),
    numHiddenLayers: field(['n_layers', 'num_hidden_layers'], LAYERS, required),
    ...groupedQueryAttention(LLAMA_DEFAULTS),
    numAttentionHeads: field(['n_heads', 'num_attention_heads'], HEADS, required),
    maxPositionEmbeddings: field(['max_seq_len', 'max_position_embeddings'], WIDTH, 2048),
    ...within(
      'attn_config',
      {
        numKeyValueHeads: keyValueHeads(1, 'kv_n_heads'),
        clipQkv: field('clip_qkv', positive(1e6), undefined),
        attentionTheta: field('rope_theta', positive(1e15), undefined),
      },
      ['attn_pdrop', ...GENERAL, ...DTYPES],
    ),
    ...within(
      'ffn_config',
      {
        hiddenAct,
        moeIntermediateSize: field('ffn_hidden_size', WIDTH, 3584),
        numExperts: field('moe_num_experts', EXPERTS, 4),
        numExpertsPerToken: expertsPerToken('moe_top_k', field('moe_top_k', EXPERTS, 1)),
        normTopkProb,
        isUniform: field('uniform_expert_assignment', only(false), false),
      },
      ['hidden_size', 'moe_jitter_eps', 'moe_loss_weight', ...GENERAL, ...DTYPES],
    ),
    ...biases({ qkv: false, dense: false, mlp: false }),
    rope,
    slidingWindows: fullAttention,
  },
  irrelevant: keysBecause('is used in training alone', 'emb_pdrop'),
});
export type DbrxConfig = ConfigOf<typeof DBRX_CONFIG>;
