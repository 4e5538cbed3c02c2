import {
  NormedRotaryAttention,
  type ProjectionNorms,
  projectionNorms,
} from '../../layers/attention/attention-orders.js';
import type { AttentionConfig } from '../../layers/attention-config.js';
import {
  biases,
  type DecoderConfig,
  decoder,
  defineConfig,
  LLAMA_DEFAULTS,
  slidingByLayer,
} from '../../layers/config/index.js';
import { HeadNorm } from '../../layers/norms/norms.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashLlamaForCausalLMATB, LlamaLayer } from '../llama/index.js';

/** Defaults of transformers 5.24, Qwen3Config. */
const QWEN3_CONFIG = defineConfig({
  fields: {
    ...decoder({ ...LLAMA_DEFAULTS, numKeyValueHeads: 32, headDim: 128 }),
    ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: false }),
    slidingWindows: slidingByLayer({ useSlidingWindow: false, window: 4096, maxWindowLayers: 28 }),
  },
  irrelevant: { mlp_bias: 'Qwen3MLP has no biases' },
});

/** What attention with norms of heads is told by the configuration. */
export type NormedHeadsConfig = AttentionConfig & { readonly rmsNormEps: number };

/** The norms of queries and keys, one for all heads of each, by their names in the checkpoint. */
export const qwen3Norms = (
  config: NormedHeadsConfig,
  weights: Weights,
  names = { q: 'q_norm', k: 'k_norm' },
): ProjectionNorms =>
  projectionNorms(config, (of, heads) => {
    return new HeadNorm(weights.at(names[of]), { ...config, heads }, config.rmsNormEps);
  });

/** Llama's attention, with q and k RMS-normalised per head before RoPE (arXiv:2505.09388, section 2). */
export class Qwen3Attention extends NormedRotaryAttention {
  constructor(layerId: number, config: NormedHeadsConfig, weights: Weights) {
    super(layerId, config, weights, qwen3Norms(config, weights));
  }
}

/** Llama with that attention. */
export class FlashQwen3ForCausalLMATB extends FlashLlamaForCausalLMATB {
  override readonly name = 'qwen3';

  constructor(config: DecoderConfig, weights: Weights) {
    super(config, weights, (layerId, at) => {
      const selfAttn = new Qwen3Attention(layerId, config, at.at('self_attn'));
      return new LlamaLayer(layerId, config, at, { selfAttn });
    });
  }
}

export const Qwen3Router = routerOf(QWEN3_CONFIG, FlashQwen3ForCausalLMATB, {
  about: { kind: 'llama', features: ['norms of q and k', 'windows by layer'], reference: 'transformers' },
});
registerModel('qwen3', Qwen3Router);
