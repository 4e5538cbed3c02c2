import {
  biases,
  decoder,
  defineConfig,
  field,
  flag,
  fullAttention,
  LLAMA_DEFAULTS,
} from '../../layers/config/index.js';
import { registerModel, routerOf } from '../../router/index.js';
import { FlashLlamaForCausalLMATB } from '../llama/index.js';

/** Defaults of transformers 5.24, SeedOssConfig. */
const SEED_OSS_CONFIG = defineConfig({
  fields: {
    ...decoder({ ...LLAMA_DEFAULTS, numKeyValueHeads: 8, headDim: 128 }),
    ...biases({ qkv: field('attention_bias', flag, true), dense: 'attention_out_bias', mlp: 'mlp_bias' }),
    slidingWindows: fullAttention,
  },
});

/** Llama with biases that can be chosen apart for q, k and v and for the output of attention. */
export class FlashSeedOssForCausalLMATB extends FlashLlamaForCausalLMATB {
  override readonly name = 'seed_oss';
}

export const SeedOssRouter = routerOf(SEED_OSS_CONFIG, FlashSeedOssForCausalLMATB, {
  about: { kind: 'llama', features: ['biases of q, k and v'], reference: 'transformers' },
});
registerModel('seed_oss', SeedOssRouter);
