import {
  biases,
  decoder,
  defineConfig,
  keysBecause,
  LLAMA_DEFAULTS,
  slidingEverywhere,
} from '../../layers/config/index.js';
import { registerModel, routerOf } from '../../router/index.js';
import { FlashLlamaForCausalLMATB } from '../llama/index.js';

/** Defaults of transformers 5.24, MistralConfig. */
const MISTRAL_CONFIG = defineConfig({
  fields: {
    ...decoder({ ...LLAMA_DEFAULTS, numKeyValueHeads: 8 }),
    ...biases({ qkv: false, dense: false, mlp: false }),
    slidingWindows: slidingEverywhere({ window: 4096 }),
  },
  irrelevant: {
    ...keysBecause('Mistral has no biases', 'attention_bias', 'mlp_bias'),
    use_sliding_window: 'sliding_window alone decides',
    ...keysBecause('the window is for every layer', 'max_window_layers', 'layer_types'),
  },
});

/** Llama with a sliding window in every layer (arXiv:2310.06825, section 2). */
export class FlashMistralForCausalLMATB extends FlashLlamaForCausalLMATB {
  override readonly name = 'mistral';
}

export const MistralRouter = routerOf(MISTRAL_CONFIG, FlashMistralForCausalLMATB, {
  about: { kind: 'llama', features: ['a window in every layer'], reference: 'transformers' },
});
registerModel('mistral', MistralRouter);
