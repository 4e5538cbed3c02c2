import {
  biases,
  type DecoderConfig,
  decoder,
  defineConfig,
  slidingEverywhere,
} from '../../layers/config/index.js';
import { BaseRouter, type ModelAbout, RegisterRouter } from '../../router/index.js';
import { FlashLlamaForCausalLMATB } from '../llama/index.js';

/** Defaults of transformers 5.24, MistralConfig. */
const MISTRAL_CONFIG = defineConfig({
  fields: {
    ...decoder({
      numKeyValueHeads: 8,
      headDim: 'hidden_size / num_attention_heads',
      hiddenAct: 'silu',
      rmsNormEps: 1e-6,
      ropeTheta: 10_000,
      tieWordEmbeddings: false,
    }),
    ...biases({ qkv: false, dense: false, mlp: false }),
    slidingWindows: slidingEverywhere({ window: 4096 }),
  },
  irrelevant: {
    attention_bias: 'MistralAttention has no biases',
    mlp_bias: 'MistralMLP has no biases',
    use_sliding_window: 'sliding_window alone decides',
    max_window_layers: 'the window is for every layer',
    layer_types: 'the window is for every layer',
  },
});

/** Llama with a sliding window in every layer (arXiv:2310.06825, section 2). */
export class FlashMistralForCausalLMATB extends FlashLlamaForCausalLMATB {
  override readonly name = 'mistral';
}

@RegisterRouter('mistral')
export class MistralRouter extends BaseRouter<DecoderConfig> {
  override get about(): ModelAbout {
    return { kind: 'llama', features: ['a window in every layer'], reference: 'transformers' };
  }

  protected getConfig(): DecoderConfig {
    return MISTRAL_CONFIG.read(this.configDict);
  }

  protected getModelClass(): typeof FlashMistralForCausalLMATB {
    return FlashMistralForCausalLMATB;
  }
}
