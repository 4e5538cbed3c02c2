import {
  activation,
  biases,
  type ConfigOf,
  constant,
  defineConfig,
  type Field,
  field,
  fullAttention,
  HEADS,
  integer,
  keysBecause,
  keyValueHeads,
  layersOfType,
  mamba,
  only,
  positive,
  required,
  textModel,
  WIDTH,
  wideHeadDim,
} from '../../layers/config/index.js';

/** Heads of mixers, which share their channels evenly. */
const mambaHeads: Field<number, { readonly mambaWidth: number }> = {
  read(json, { mambaWidth }) {
    const heads = json.value('n_mamba_heads', HEADS) ?? 2;
    if (mambaWidth % heads !== 0)
      json.problem(`n_mamba_heads (${heads}) must divide mamba_expand * hidden_size (${mambaWidth})`);
    return heads;
  },
};

/** The third layer is hybrid, and behind it one of each period. */
const isHybrid = layersOfType(
  'hybrid',
  ['mamba', 'linear_attention'],
  (json) => {
    const period = json.value('attn_layer_period', integer(1, 1000)) ?? 6;
    const offset = json.value('attn_layer_offset', integer(0, 1000)) ?? 4;
    return (layer) => layer === 2 || (layer > 2 && (layer - 3) % period === offset);
  },
  'layers_block_type',
);

/** Defaults of transformers 5.24, ZambaConfig. */
export const ZAMBA_CONFIG = defineConfig({
  fields: {
    ...textModel({ tieWordEmbeddings: true }),
    numAttentionHeads: field('num_attention_heads', HEADS, required),
    numKeyValueHeads: keyValueHeads(16),
    headDim: wideHeadDim,
    rope: constant(undefined),
    intermediateSize: field('intermediate_size', WIDTH, required),
    hiddenAct: activation('hidden_act', 'gelu'),
    rmsNormEps: field('rms_norm_eps', positive(1), 1e-5),
    ...biases({ qkv: false, dense: false, mlp: false }),
    ...mamba,
    mambaHeads,
    mambaAct: field('hidden_mamba_act', only('silu'), 'silu'),
    isHybrid,
    slidingWindows: fullAttention,
  },
  irrelevant: {
    num_logits_to_keep: 'says what a call returns',
    attention_hidden_size: 'follows from others',
    ...keysBecause('says which kernels another program takes', 'use_mamba_kernels', 'use_associative_scan'),
    ...keysBecause('says how training began', 'time_step_min', 'time_step_max', 'time_step_floor'),
  },
});
export type ZambaConfig = ConfigOf<typeof ZAMBA_CONFIG>;
