import {
  biases,
  type DecoderConfig,
  decoder,
  defineConfig,
  fullAttention,
  LLAMA_DEFAULTS,
} from '../../layers/config/index.js';
import { UngatedMLP } from '../../layers/mlp/mlp.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashLlamaForCausalLMATB, LlamaLayer } from '../llama/index.js';

/** Defaults of transformers 5.24, ArceeConfig. */
const ARCEE_CONFIG = defineConfig({
  fields: {
    ...decoder({ ...LLAMA_DEFAULTS, hiddenAct: 'relu2', rmsNormEps: 1e-5 }),
    ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: 'mlp_bias' }),
    slidingWindows: fullAttention,
  },
});

/** Llama with an MLP without a gate, whose activation is relu squared (arXiv:2109.08668, section 3). */
export class FlashArceeForCausalLMATB extends FlashLlamaForCausalLMATB {
  override readonly name = 'arcee';

  constructor(config: DecoderConfig, weights: Weights) {
    super(config, weights, (layerId, at) => {
      return new LlamaLayer(layerId, config, at, { mlp: new UngatedMLP(config, at.at('mlp')) });
    });
  }
}

export const ArceeRouter = routerOf(ARCEE_CONFIG, FlashArceeForCausalLMATB, {
  about: {
    kind: 'llama',
    features: ['MLP without a gate', 'relu²'],
    reference: 'transformers',
  },
});
registerModel('arcee', ArceeRouter);
