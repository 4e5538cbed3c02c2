import { RotaryNormedAttention } from '../../layers/attention/attention-orders.js';
import {
  biases,
  type DecoderConfig,
  decoder,
  defineConfig,
  field,
  fullAttention,
  keysBecause,
  LLAMA_DEFAULTS,
  only,
} from '../../layers/config/index.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashLlamaForCausalLMATB, LlamaLayer } from '../llama/index.js';
import { qwen3Norms } from '../qwen3/index.js';

/** What both kinds of Hunyuan have. Defaults of transformers 5.24, HunYuanDenseV1Config and HunYuanMoEV1Config. */
export const HUNYUAN_FIELDS = {
  ...decoder({ ...LLAMA_DEFAULTS, rmsNormEps: 1e-5, rotary: { readsAlpha: true } }),
  ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: false }),
  slidingWindows: fullAttention,
  hasQkNorm: field('use_qk_norm', only(true), true),
  hasRotary: field('use_rotary_pos_emb', only(true), true),
  normType: field('norm_type', only('rms'), 'rms'),
};

/** Keys of both that change nothing. */
export const HUNYUAN_IRRELEVANT = {
  mlp_bias: 'MLPs have no biases',
  cla_share_factor: 'use_cla alone shares keys and values between layers, and is refused',
  attention_head_dim: 'head_dim is what the model reads',
  org_vocab_size: 'vocab_size is what the model has',
  ...keysBecause(
    'alpha stretches the base once and for all, and nothing else counts',
    ...['rope_scaling', 'rope_parameters'].flatMap((section) =>
      ['factor', 'beta_fast', 'beta_slow', 'mscale', 'mscale_all_dim'].map((key) => `${section}.${key}`),
    ),
  ),
  ...keysBecause(
    'belongs to a head that classifies',
    ...['add_classification_head', 'class_num', 'dense_list', 'pool_type'],
  ),
  ...keysBecause(
    'is an id that the tokenizer knows',
    ...['im_start_id', 'im_end_id', 'im_newline_id', 'mask_init_id', 'text_start_id', 'text_end_id'],
    ...['pad_id', 'eod_token_id', 'image_token_id'],
  ),
};

const HUNYUAN_CONFIG = defineConfig({ fields: HUNYUAN_FIELDS, irrelevant: HUNYUAN_IRRELEVANT });

/** Attention whose queries and keys are RMS-normalised per head after they are rotated. */
export class HunyuanAttention extends RotaryNormedAttention {
  constructor(layerId: number, config: DecoderConfig, weights: Weights) {
    const norms = qwen3Norms(config, weights, { q: 'query_layernorm', k: 'key_layernorm' });
    super(layerId, config, weights, norms);
  }
}

/** Llama with that attention, and a base of the rotary embedding that `alpha` stretches. */
export class FlashHunyuanForCausalLMATB extends FlashLlamaForCausalLMATB {
  override readonly name = 'hunyuan_v1_dense';

  constructor(config: DecoderConfig, weights: Weights) {
    super(config, weights, (layerId, at) => {
      const selfAttn = new HunyuanAttention(layerId, config, at.at('self_attn'));
      return new LlamaLayer(layerId, config, at, { selfAttn });
    });
  }
}

export const HunyuanRouter = routerOf(HUNYUAN_CONFIG, FlashHunyuanForCausalLMATB, {
  about: { kind: 'llama', features: ['norms of q and k after rotary'], reference: 'transformers' },
});
registerModel('hunyuan_v1_dense', HunyuanRouter);
