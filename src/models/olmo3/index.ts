import {
  biases,
  type ConfigOf,
  decoder,
  defineConfig,
  LLAMA_DEFAULTS,
  rotaryByWindow,
  slidingByLayer,
} from '../../layers/config/index.js';
import { registerModel, routerOf } from '../../router/index.js';
import { FlashOlmo2ForCausalLMATB } from '../olmo2/index.js';

/** Defaults of transformers 5.24, Olmo3Config. */
const OLMO3_CONFIG = defineConfig({
  fields: {
    ...decoder({ ...LLAMA_DEFAULTS, rmsNormEps: 1e-5 }),
    ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: false }),
    // Layers with a window never look beyond the original context, and are not scaled.
    ...rotaryByWindow({
      full_attention: { theta: 500_000, isScaled: true, keepsF32: true },
      sliding_attention: { theta: 500_000, isScaled: false, keepsF32: true },
    }),
    slidingWindows: slidingByLayer({ window: 4096, slidingWindowPattern: 4 }),
  },
});

/** OLMo 2 with windows in three of four layers, and with another rotary embedding in these. */
export class FlashOlmo3ForCausalLMATB extends FlashOlmo2ForCausalLMATB<ConfigOf<typeof OLMO3_CONFIG>> {
  override readonly name = 'olmo3';
}

export const Olmo3Router = routerOf(OLMO3_CONFIG, FlashOlmo3ForCausalLMATB, {
  about: {
    kind: 'variant',
    features: ['as olmo2', 'windows by layer', 'two rotary embeddings'],
    reference: 'transformers',
  },
});
registerModel('olmo3', Olmo3Router);
