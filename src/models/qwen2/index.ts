import { biases, decoder, defineConfig, LLAMA_DEFAULTS, slidingByLayer } from '../../layers/config/index.js';
import { registerModel, routerOf } from '../../router/index.js';
import { FlashLlamaForCausalLMATB } from '../llama/index.js';

/** Defaults of transformers 5.24, Qwen2Config. */
const QWEN2_CONFIG = defineConfig({
  fields: {
    ...decoder({ ...LLAMA_DEFAULTS, numKeyValueHeads: 32 }),
    ...biases({ qkv: true, dense: false, mlp: false }),
    slidingWindows: slidingByLayer({ useSlidingWindow: false, window: 4096, maxWindowLayers: 28 }),
  },
  irrelevant: {
    attention_bias: 'Qwen2Attention always has biases of q, k and v, and no other',
    mlp_bias: 'Qwen2MLP has no biases',
    qkv_bias: 'Qwen2Attention always has biases of q, k and v, and no other',
  },
});

/** Llama with biased q, k and v projections, and windows in some layers (arXiv:2407.10671, section 2.2). */
export class FlashQwen2ForCausalLMATB extends FlashLlamaForCausalLMATB {
  override readonly name: string = 'qwen2';
}

export const Qwen2Router = routerOf(QWEN2_CONFIG, FlashQwen2ForCausalLMATB, {
  about: { kind: 'llama', features: ['biases of q, k and v', 'windows by layer'], reference: 'transformers' },
});
registerModel('qwen2', Qwen2Router);
