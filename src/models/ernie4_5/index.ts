import { biases, decoder, defineConfig, fullAttention, LLAMA_DEFAULTS } from '../../layers/config/index.js';
import { registerModel, routerOf } from '../../router/index.js';
import { FlashLlamaForCausalLMATB } from '../llama/index.js';

/** Defaults of transformers 5.24, Ernie4_5Config. */
const ERNIE4_5_CONFIG = defineConfig({
  fields: {
    ...decoder({
      ...LLAMA_DEFAULTS,
      numKeyValueHeads: 2,
      headDim: 128,
      rmsNormEps: 1e-5,
      ropeTheta: 500_000,
      tieWordEmbeddings: true,
      rotary: { interleaved: true, keepsF32: true },
    }),
    ...biases({ qkv: 'use_bias', dense: 'use_bias', mlp: 'use_bias' }),
    slidingWindows: fullAttention,
  },
});

/** Llama of which neighbouring elements of a head turn together. */
export class FlashErnie45ForCausalLMATB extends FlashLlamaForCausalLMATB {
  override readonly name = 'ernie4_5';
}

export const Ernie45Router = routerOf(ERNIE4_5_CONFIG, FlashErnie45ForCausalLMATB, {
  about: { kind: 'variant', features: ['interleaved rotary'], reference: 'transformers' },
});
registerModel('ernie4_5', Ernie45Router);
