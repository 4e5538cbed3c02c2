import {
  biases,
  type DecoderConfig,
  decoder,
  defineConfig,
  LLAMA_DEFAULTS,
  slidingEverywhere,
} from '../../layers/config/index.js';
import { BaseMLP } from '../../layers/mlp/mlp.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashLlamaForCausalLMATB, LlamaAttention, LlamaLayer } from '../llama/index.js';

/** Defaults of transformers 5.24, Phi3Config. */
export const PHI3_FIELDS = {
  ...decoder({ ...LLAMA_DEFAULTS, rmsNormEps: 1e-5, rotary: { factor: 1 } }),
  ...biases({ qkv: false, dense: false, mlp: false }),
  slidingWindows: slidingEverywhere({ window: undefined }),
};
export const PHI3_IRRELEVANT = {
  attention_bias: 'Phi3Attention has no biases',
  original_max_position_embeddings: 'only LongRoPE has an original length, and reads it',
};
const PHI3_CONFIG = defineConfig({ fields: PHI3_FIELDS, irrelevant: PHI3_IRRELEVANT });

/** The checkpoint's names of packed projections. */
export const PHI3_QKV = { packed: 'qkv_proj', order: 'blocks' } as const;
export const PHI3_MLP = { gateUp: 'gate_up_proj', down: 'down_proj' };

/** Llama with projections that are packed in the checkpoint, and a window in every layer (arXiv:2404.14219). */
export class FlashPhi3ForCausalLMATB extends FlashLlamaForCausalLMATB {
  override readonly name = 'phi3';

  constructor(config: DecoderConfig, weights: Weights) {
    super(config, weights, (layerId, at) => {
      const selfAttn = new LlamaAttention(layerId, config, at.at('self_attn'), { qkv: PHI3_QKV });
      const mlp = new BaseMLP(config, at.at('mlp'), { names: PHI3_MLP });
      return new LlamaLayer(layerId, config, at, { selfAttn, mlp });
    });
  }
}

export const Phi3Router = routerOf(PHI3_CONFIG, FlashPhi3ForCausalLMATB, {
  about: {
    kind: 'variant',
    features: ['packed projections', 'partial rotary', 'LongRoPE', 'a window in every layer'],
    reference: 'transformers',
  },
});
registerModel('phi3', Phi3Router);
