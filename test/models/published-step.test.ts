import { loadModels } from '../../src/models/get-model.js';
import { type Dict, itIsRead, itIsRefused } from './published-checks.js';

/** Of 45 layers the first five, the last two of which stand for the last two, and three that guess further tokens. */
const LAYERS = 5;
const GUESSING = 3;
/** Lists go on with what those have. */
const inFours = <T>(full: T, sliding: T): readonly T[] =>
  Array.from({ length: LAYERS + GUESSING }, (_, layer) => (layer % 4 === 0 ? full : sliding));
const lastTwo = (limit: number): readonly number[] =>
  Array.from({ length: LAYERS + GUESSING }, (_, layer) => (layer === 3 || layer === 4 ? limit : 0));

/** As tests of vLLM's, Megatron's and other readers quote Step-3.5-Flash's config.json between them. */
const STEP_3_5 = {
  model_type: 'step3p5',
  architectures: ['Step3p5ForCausalLM'],
  att_impl_type: 'GQA',
  attention_other_setting: {
    attention_type: 'sliding_attention',
    head_dim: 128,
    num_attention_groups: 8,
    num_attention_heads: 96,
    true_head_dim: 128,
  },
  bos_token_id: 0,
  eos_token_id: [1, 2, 128_007],
  head_dim: 128,
  hidden_size: 4096,
  intermediate_size: 11_264,
  layer_types: inFours('full_attention', 'sliding_attention'),
  max_position_embeddings: 262_144,
  max_seq_len: 262_144,
  moe_every_n_layer: 1,
  moe_intermediate_size: 1280,
  moe_layer_offset: 0,
  moe_layers_enum: '3,4',
  moe_num_experts: 288,
  moe_router_activation: 'sigmoid',
  moe_router_scaling_factor: 3,
  moe_top_k: 8,
  need_fp32_gate: true,
  norm_expert_weight: true,
  num_attention_groups: 8,
  num_attention_heads: 64,
  num_hidden_layers: LAYERS,
  num_nextn_predict_layers: GUESSING,
  partial_rotary_factors: inFours(0.5, 1),
  rms_norm_eps: 1e-5,
  rope_scaling: {
    factor: 2,
    high_freq_factor: 32,
    low_freq_factor: 1,
    original_max_position_embeddings: 131_072,
    rope_type: 'llama3',
  },
  rope_theta: inFours(5_000_000, 10_000),
  share_expert_dim: 1280,
  sink: false,
  sliding_window: 512,
  swiglu_limits: lastTwo(7),
  swiglu_limits_shared: lastTwo(16),
  tie_word_embeddings: false,
  torch_dtype: 'bfloat16',
  use_head_wise_attn_gate: true,
  use_moe: true,
  use_moe_router_bias: true,
  use_qk_norm: true,
  use_rope_layers: [],
  vocab_size: 128_896,
  yarn_only_types: ['full_attention'],
  zero_centered: true,
};
/** The same within the config.json of Step-3.7-Flash. */
const STEP_3_7 = {
  model_type: 'step3p7',
  architectures: ['Step3p7ForConditionalGeneration'],
  bos_token_id: 0,
  eos_token_id: [1, 2, 128_007],
  image_token_id: 128_001,
  image_token_len: 169,
  patch_token_len: 81,
  projector_bias: false,
  text_config: STEP_3_5,
  tie_word_embeddings: false,
  understand_projector_stride: 2,
  vision_config: {
    model_type: 'perception_encoder',
    heads: 16,
    image_size: 728,
    layers: 47,
    patch_size: 14,
    width: 1536,
  },
};

const REFUSED: ReadonlyArray<readonly [what: string, dict: Dict, names: RegExp]> = [
  [
    'bases that differ between layers with a window',
    { ...STEP_3_5, rope_theta: [5e6, 1e4, 2e4, 1e4, 5e6] },
    /rope_theta must be the same in all layers with a window and in all others, found 10000, 20000/,
  ],
  [
    'bases of too few layers',
    { ...STEP_3_5, rope_theta: [5e6, 1e4] },
    /rope_theta must have one entry for each of the 5 layers, found 2/,
  ],
  [
    'bounds of too few layers',
    { ...STEP_3_5, swiglu_limits: [0, 7] },
    /swiglu_limits must have one entry for each of the 5 layers, found 2/,
  ],
  [
    'bounds below zero',
    { ...STEP_3_5, swiglu_limits_shared: [0, 0, 0, 0, -7] },
    /swiglu_limits_shared must be a list of numbers of at least 0, or null/,
  ],
  [
    'heads that do not share keys evenly',
    { ...STEP_3_5, attention_other_setting: { num_attention_heads: 60 } },
    /heads of layers with a window \(60\) must be a multiple of those of keys \(8\)/,
  ],
  [
    'other heads of keys in layers with a window',
    { ...STEP_3_5, attention_other_setting: { num_attention_groups: 4, num_attention_heads: 96 } },
    /attention_other_setting\.num_attention_groups must be 8: .*, found 4/,
  ],
  [
    'layers with experts that are no numbers',
    { ...STEP_3_5, moe_layers_enum: '3,last' },
    /moe_layers_enum must be a list of numbers of layers/,
  ],
  [
    'sinks within a whole',
    { ...STEP_3_7, text_config: { ...STEP_3_5, sink: true } },
    /text_config\.sink must be false: .*, found true/,
  ],
];

describe('config.json of Step', () => {
  before(loadModels);
  itIsRead('Step-3.5-Flash', STEP_3_5);
  itIsRead('Step-3.7-Flash', STEP_3_7);
  for (const [what, dict, names] of REFUSED) itIsRefused(what, dict, names);
});
