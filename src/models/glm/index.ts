import {
  biases,
  type DecoderConfig,
  decoder,
  defineConfig,
  field,
  flag,
  fullAttention,
  LLAMA_DEFAULTS,
} from '../../layers/config/index.js';
import { BaseMLP } from '../../layers/mlp/mlp.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashLlamaForCausalLMATB, LlamaLayer } from '../llama/index.js';

/** Defaults of transformers 5.24, GlmConfig and Glm4Config. */
export const GLM_CONFIG = defineConfig({
  fields: {
    ...decoder({
      ...LLAMA_DEFAULTS,
      numKeyValueHeads: 2,
      headDim: 128,
      rmsNormEps: 1.5625e-7,
      rotary: { factor: 0.5, interleaved: true },
    }),
    ...biases({ qkv: field('attention_bias', flag, true), dense: false, mlp: false }),
    slidingWindows: fullAttention,
  },
});

/** GLM's MLP: Llama's, whose gate and up projections are one tensor. */
export const glmMlp = (config: DecoderConfig, weights: Weights): BaseMLP =>
  new BaseMLP(config, weights, { names: { gateUp: 'gate_up_proj', down: 'down_proj' } });

/** Llama of which neighbouring elements of half a head turn together (arXiv:2406.12793). */
export class FlashGlmForCausalLMATB extends FlashLlamaForCausalLMATB {
  override readonly name = 'glm';

  constructor(config: DecoderConfig, weights: Weights) {
    super(config, weights, (layerId, at) => {
      return new LlamaLayer(layerId, config, at, { mlp: glmMlp(config, at.at('mlp')) });
    });
  }
}

export const GlmRouter = routerOf(GLM_CONFIG, FlashGlmForCausalLMATB, {
  about: {
    kind: 'variant',
    features: ['partial interleaved rotary', 'packed gate and up'],
    reference: 'transformers',
  },
});
registerModel('glm', GlmRouter);
