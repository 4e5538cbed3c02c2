import { type ConfigOf, defineConfig, mropeSections, within } from '../../layers/config/index.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { glm4MoeParts, glm4MoeText } from '../glm4_moe/index.js';
import { FlashGlm4vForCausalLMATB, GLM4V_IRRELEVANT, Glm4vProcessor, glm4vFields } from '../glm4v/index.js';
import { sparseLayers } from '../llama/index.js';

/** The text's part of config.json. */
export const GLM4V_MOE_TEXT = within('text_config', { ...glm4MoeText(true), sections: mropeSections });

/** Defaults of transformers 5.24, Glm4vMoeConfig. */
const GLM4V_MOE_CONFIG = defineConfig({
  fields: { ...GLM4V_MOE_TEXT, ...glm4vFields({ image: 151_363, video: 151_364 }) },
  irrelevant: GLM4V_IRRELEVANT,
});
export type Glm4vMoeConfig = ConfigOf<typeof GLM4V_MOE_CONFIG>;

/** GLM 4.5 that sees by the tower of GLM-4.1V (arXiv:2507.01006). */
export class FlashGlm4vMoeForCausalLMATB extends FlashGlm4vForCausalLMATB<Glm4vMoeConfig> {
  override readonly name = 'glm4v_moe';

  constructor(config: Glm4vMoeConfig, weights: Weights) {
    super(config, weights, sparseLayers(config, glm4MoeParts(config)));
  }
}

export const Glm4vMoeRouter = routerOf(GLM4V_MOE_CONFIG, FlashGlm4vMoeForCausalLMATB, {
  mediaProcessor: (folder, config, encode) => Glm4vProcessor.read(folder, config, encode),
  about: { kind: 'media', features: ['as glm4v', 'text of glm4_moe'], reference: 'transformers' },
});
registerModel('glm4v_moe', Glm4vMoeRouter);
