import {
  biases,
  type DecoderConfig,
  decoder,
  defineConfig,
  fullAttention,
  keysBecause,
  LLAMA_DEFAULTS,
} from '../../layers/config/index.js';
import { BaseRouter, type ModelAbout, RegisterRouter } from '../../router/index.js';
import { FlashLlamaForCausalLMATB } from './flash-causal-llama-atb.js';

/** Defaults of transformers 5.24, LlamaConfig. */
const LLAMA_CONFIG = defineConfig({
  fields: {
    ...decoder(LLAMA_DEFAULTS),
    ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: 'mlp_bias' }),
    slidingWindows: fullAttention,
  },
  irrelevant: keysBecause(
    'LlamaModel attends to all keys',
    ...['sliding_window', 'use_sliding_window', 'max_window_layers', 'layer_types'],
  ),
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
