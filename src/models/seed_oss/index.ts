import { biases, decoder, defineConfig, field, flag, fullAttention } from '../../layers/config/index.js';
import { registerModel, routerOf } from '../../router/index.js';
import { FlashLlamaForCausalLMATB } from '../llama/index.js';

/** Defaults of transformers 5.24, SeedOssConfig. */
const SEED_OSS_CONFIG = defineConfig({
  fields: {
    ...decoder({
      numKeyValueHeads: 8,
      headDim: 128,
      hiddenAct: 'silu',
      rmsNormEps: 1e-6,
      ropeTheta: 10_000,
      tieWordEmbeddings: false,
    }),
    ...biases({ qkv: true, dense: 'attention_out_bias', mlp: 'mlp_bias' }),
    qkvBias: field('attention_bias', flag, true),
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
