import {
  biases,
  type DecoderConfig,
  decoder,
  defineConfig,
  fullAttention,
} from '../../layers/config/index.js';
import { BaseRouter, type ModelAbout, RegisterRouter } from '../../router/index.js';
import { FlashLlamaForCausalLMATB } from './flash-causal-llama-atb.js';

/** Defaults of transformers 5.24, LlamaConfig. */
const LLAMA_CONFIG = defineConfig({
  fields: {
    ...decoder({
      numKeyValueHeads: 'num_attention_heads',
      headDim: 'hidden_size / num_attention_heads',
      hiddenAct: 'silu',
      rmsNormEps: 1e-6,
      ropeTheta: 10_000,
      tieWordEmbeddings: false,
    }),
    ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: 'mlp_bias' }),
    slidingWindows: fullAttention,
  },
  irrelevant: {
    sliding_window: 'LlamaModel attends to all keys',
    use_sliding_window: 'LlamaModel attends to all keys',
    max_window_layers: 'LlamaModel attends to all keys',
    layer_types: 'LlamaModel attends to all keys',
  },
});

/** Llama 1 to 3.x. */
@RegisterRouter('llama')
export class LlamaRouter extends BaseRouter<DecoderConfig> {
  override get about(): ModelAbout {
    return { kind: 'llama', features: [], reference: 'transformers' };
  }

  protected getConfig(): DecoderConfig {
    return LLAMA_CONFIG.read(this.configDict);
  }

  protected getModelClass(): typeof FlashLlamaForCausalLMATB {
    return FlashLlamaForCausalLMATB;
  }
}
