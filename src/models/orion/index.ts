import {
  biases,
  type DecoderConfig,
  decoder,
  defineConfig,
  fullAttention,
  LLAMA_DEFAULTS,
} from '../../layers/config/index.js';
import { BaseLayerNorm } from '../../layers/norms/norms.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashNormedLlamaATB } from '../base/flash-normed-llama-atb.js';

/** Defaults of the published configuration_orion.py, which calls the epsilon of LayerNorm that of RMSNorm. */
const ORION_CONFIG = defineConfig({
  fields: {
    ...decoder({ ...LLAMA_DEFAULTS, rmsNormEps: 1e-5 }),
    ...biases({ qkv: false, dense: false, mlp: false }),
    slidingWindows: fullAttention,
  },
});

/** Llama with LayerNorm (arXiv:2401.12246). */
export class FlashOrionForCausalLMATB extends FlashNormedLlamaATB<DecoderConfig> {
  readonly name = 'orion';

  constructor(config: DecoderConfig, weights: Weights) {
    super(config, weights, {
      norm: (at) => new BaseLayerNorm(at, config.hiddenSize, config.rmsNormEps),
    });
  }
}

export const OrionRouter = routerOf(ORION_CONFIG, FlashOrionForCausalLMATB, {
  about: { kind: 'remote', features: ['LayerNorm'], reference: 'transformers, as stablelm' },
});
registerModel('orion', OrionRouter);
