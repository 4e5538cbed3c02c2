import { BaseRMSNorm } from '../../layers/norms/norms.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { BaseModelATB } from '../base/base-model-atb.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';
import { LONGCAT_FLASH_CONFIG, type LongcatFlashConfig } from './config.js';
import { longcatHalf } from './modeling-longcat-flash-atb.js';

/**
 * LongCat-Flash (arXiv:2509.01322): layers of two latent attentions and two MLPs, beside which experts compute; each of
 * these halves is a layer here.
 */
export class FlashLongcatFlashForCausalLMATB extends FlashForCausalLMATB<LongcatFlashConfig> {
  readonly name = 'longcat_flash';
  protected readonly model: BaseModelATB;

  constructor(config: LongcatFlashConfig, weights: Weights) {
    super(config, weights);
    const inner = weights.at('model');
    this.model = new BaseModelATB(config, inner, {
      layer: (layerId) => longcatHalf(layerId, config, inner.at('layers').at(Math.floor(layerId / 2))),
      norm: new BaseRMSNorm(inner.at('norm'), config.hiddenSize, config.rmsNormEps),
    });
  }
}

// Layers that guess further tokens; transformers holds gates of zero experts, which compute nothing.
export const LongcatFlashRouter = routerOf(LONGCAT_FLASH_CONFIG, FlashLongcatFlashForCausalLMATB, {
  harmlessTensors: [/^model\.mtp\./, /\.mlp\.experts\.\d+\.(gate|up)_proj\.weight$/],
  about: {
    kind: 'experts',
    features: [
      'latent attention',
      'experts beside two attentions and MLPs',
      'experts that give back what they get',
    ],
    reference: 'transformers',
  },
});
registerModel('longcat_flash', LongcatFlashRouter);
