import { biases, decoder, defineConfig, LLAMA_DEFAULTS, slidingByLayer } from '../../layers/config/index.js';
import { registerModel, routerOf } from '../../router/index.js';
import { FlashLlamaForCausalLMATB } from '../llama/index.js';

/** Defaults of transformers 5.24, MinistralConfig. */
const MINISTRAL_CONFIG = defineConfig({
  fields: {
    ...decoder({ ...LLAMA_DEFAULTS, numKeyValueHeads: 8 }),
    ...biases({ qkv: false, dense: false, mlp: false }),
    slidingWindows: slidingByLayer({ window: 4096, slides: () => true }),
  },
});

/** Mistral in which some layers have no window. */
export class FlashMinistralForCausalLMATB extends FlashLlamaForCausalLMATB {
  override readonly name = 'ministral';
}

export const MinistralRouter = routerOf(MINISTRAL_CONFIG, FlashMinistralForCausalLMATB, {
  about: { kind: 'llama', features: ['windows by layer'], reference: 'transformers' },
});
registerModel('ministral', MinistralRouter);
