import {
  activation,
  biases,
  type ConfigOf,
  constant,
  defineConfig,
  type Field,
  field,
  flag,
  fullAttention,
  HEADS,
  integer,
  keysBecause,
  keyValueHeads,
  layersOfType,
  mamba2,
  mambaGroups,
  mambaHeadSize,
  mlpWidth,
  only,
  positive,
  type RotarySizes,
  required,
  rotaryConfig,
  SIZE,
  textModel,
  wideHeadDim,
} from '../../layers/config/index.js';
import type { RopeConfig } from '../../step-inputs/index.js';

/** Before the mixers of which of its 54 layers the class has the shared transformer. */
const USUAL = [6, 12, 18, 24, 30, 36, 42, 47, 51];

const ropeWhereUsed: Field<RopeConfig | undefined, RotarySizes> = {
  read(json, config) {
    const rope = rotaryConfig({ theta: 10_000 }).read(json, config);
    return json.value('use_mem_rope', flag) === true ? rope : undefined;
  },
};

/** Defaults of transformers 5.24, Zamba2Config. */
export const ZAMBA2_CONFIG = defineConfig({
  fields: {
    ...textModel({ tieWordEmbeddings: true }),
    numAttentionHeads: field('num_attention_heads', HEADS, required),
    numKeyValueHeads: keyValueHeads('num_attention_heads'),
    headDim: wideHeadDim,
    rope: ropeWhereUsed,
    isLong: field('use_long_context', only(false), false),
    intermediateSize: mlpWidth('intermediate_size'),
    hiddenAct: activation('hidden_act', 'gelu'),
    rmsNormEps: field('rms_norm_eps', positive(1), 1e-5),
    ...biases({ qkv: false, dense: false, mlp: 'add_bias_linear' }),
    ...mamba2({ heads: 8, stateSize: 64 }),
    mambaHeads: field('n_mamba_heads', HEADS, 8),
    mambaHeadSize: mambaHeadSize({ heads: 'n_mamba_heads', size: 'mamba_headdim' }),
    mambaGroups: mambaGroups('mamba_ngroups', 1),
    mambaBias: field('add_bias_linear', flag, false),
    convBias: constant(true),
    isHybrid: layersOfType(
      'hybrid',
      ['mamba', 'linear_attention'],
      () => (layer) => USUAL.includes(layer),
      'layers_block_type',
    ),
    sharedBlocks: field('num_mem_blocks', integer(1, 1000), 1),
    adapterRank: field('adapter_rank', SIZE, 128),
    adaptsAttention: field('use_shared_attention_adapter', flag, false),
    slidingWindows: fullAttention,
  },
  irrelevant: {
    use_conv_bias: 'is not what convolutions read: all have biases',
    num_logits_to_keep: 'says what a call returns',
    hybrid_layer_ids: 'is what layers_block_type says',
    ...keysBecause('says how kernels of GPUs compute', 'chunk_size', 'use_mamba_kernels', 'use_mem_eff_path'),
    ...keysBecause('says how training began', 'time_step_min', 'time_step_max', 'time_step_floor'),
    ...keysBecause('follows from others', 'attention_hidden_size', 'kv_channels', 'num_query_groups'),
  },
});
export type Zamba2Config = ConfigOf<typeof ZAMBA2_CONFIG>;
