import { biases, decoder, defineConfig, fullAttention, LLAMA_DEFAULTS } from '../../layers/config/index.js';
import { registerModel, routerOf } from '../../router/index.js';
import { FlashLlamaForCausalLMATB } from '../llama/index.js';

/** Defaults of transformers 5.24, HeliumConfig. */
const HELIUM_CONFIG = defineConfig({
  fields: {
    ...decoder({
      ...LLAMA_DEFAULTS,
      numKeyValueHeads: 20,
      headDim: 128,
      rmsNormEps: 1e-8,
      ropeTheta: 100_000,
      rotary: { interleaved: true },
    }),
    ...biases({ qkv: 'attention_bias', dense: false, mlp: 'mlp_bias' }),
    slidingWindows: fullAttention,
  },
});

/** Llama in whose heads neighbouring elements turn together. */
export class FlashHeliumForCausalLMATB extends FlashLlamaForCausalLMATB {
  override readonly name = 'helium';
}

export const HeliumRouter = routerOf(HELIUM_CONFIG, FlashHeliumForCausalLMATB, {
  about: { kind: 'llama', features: ['interleaved rotary'], reference: 'transformers' },
});
registerModel('helium', HeliumRouter);
