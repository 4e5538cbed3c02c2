import {
  biases,
  decoder,
  defineConfig,
  field,
  LLAMA_DEFAULTS,
  only,
  predictionLayers,
  slidingByLayer,
} from '../../layers/config/index.js';
import { registerModel, routerOf } from '../../router/index.js';
import { FlashQwen2ForCausalLMATB } from '../qwen2/index.js';

/** MiMo-7B's config.json says all that matters; for the rest, defaults of the Qwen2Config that its own class extends. */
const MIMO_CONFIG = defineConfig({
  fields: {
    ...decoder({ ...LLAMA_DEFAULTS, numKeyValueHeads: 32 }),
    ...biases({ qkv: true, dense: false, mlp: false }),
    hasBiases: field('attention_bias', only(true), true),
    slidingWindows: slidingByLayer({ useSlidingWindow: false, window: 4096, maxWindowLayers: 28 }),
    predictionLayers: predictionLayers(0),
  },
});

/** Qwen 2 with layers beside it that guess further tokens, which are left out (arXiv:2505.07608). */
export class FlashMimoForCausalLMATB extends FlashQwen2ForCausalLMATB {
  override readonly name = 'mimo';
}

export const MimoRouter = routerOf(MIMO_CONFIG, FlashMimoForCausalLMATB, {
  about: {
    kind: 'llama',
    features: ['biases of q, k and v', 'windows by layer'],
    reference: 'transformers, as qwen2',
  },
});
registerModel('mimo', MimoRouter);
