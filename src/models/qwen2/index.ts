import {
  biases,
  type DecoderConfig,
  decoder,
  defineConfig,
  slidingByLayer,
} from '../../layers/config/index.js';
import { BaseRouter, type ModelAbout, RegisterRouter } from '../../router/index.js';
import { FlashLlamaForCausalLMATB } from '../llama/index.js';

/** Defaults of transformers 5.24, Qwen2Config. */
const QWEN2_CONFIG = defineConfig({
  fields: {
    ...decoder({
      numKeyValueHeads: 32,
      headDim: 'hidden_size / num_attention_heads',
      hiddenAct: 'silu',
      rmsNormEps: 1e-6,
      ropeTheta: 10_000,
      tieWordEmbeddings: false,
    }),
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

@RegisterRouter('qwen2')
export class Qwen2Router extends BaseRouter<DecoderConfig> {
  override get about(): ModelAbout {
    return {
      kind: 'llama',
      features: ['biases of q, k and v', 'windows by layer'],
      reference: 'transformers',
    };
  }

  protected getConfig(): DecoderConfig {
    return QWEN2_CONFIG.read(this.configDict);
  }

  protected getModelClass(): typeof FlashQwen2ForCausalLMATB {
    return FlashQwen2ForCausalLMATB;
  }
}
