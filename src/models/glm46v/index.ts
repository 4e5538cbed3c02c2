import { isObject } from '../../is-object.js';
import {
  type ConfigDict,
  type ConfigOf,
  defineConfig,
  field,
  oneOf,
  within,
} from '../../layers/config/index.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { glm4MoeParts } from '../glm4_moe/index.js';
import {
  FlashGlm4vForCausalLMATB,
  GLM4V_IRRELEVANT,
  GLM4V_TEXT,
  Glm4vProcessor,
  glm4vFields,
} from '../glm4v/index.js';
import { GLM4V_MOE_TEXT } from '../glm4v_moe/index.js';
import { sparseLayers } from '../llama/index.js';

/** Defaults of transformers 5.24, Glm46VConfig, whose text is GLM-4.1V's where the file is silent. */
const BESIDE_TEXT = {
  ...glm4vFields({ image: 151_343, video: 151_344 }),
  ...within('text_config', {
    textKind: field('model_type', oneOf('glm4v_text', 'glm4v_moe_text'), 'glm4v_text'),
  }),
};
const DENSE = defineConfig({ fields: { ...GLM4V_TEXT, ...BESIDE_TEXT }, irrelevant: GLM4V_IRRELEVANT });
const SPARSE = defineConfig({ fields: { ...GLM4V_MOE_TEXT, ...BESIDE_TEXT }, irrelevant: GLM4V_IRRELEVANT });
type Glm46vConfig = ConfigOf<typeof DENSE> | ConfigOf<typeof SPARSE>;

const GLM46V_CONFIG = {
  read(dict: ConfigDict): Glm46vConfig {
    const { text_config: text } = dict;
    return (isObject(text) && text.model_type === 'glm4v_moe_text' ? SPARSE : DENSE).read(dict);
  },
};

/** GLM-4.6V, whose text is that of GLM-4.1V or, with experts, of GLM-4.5V. */
export class FlashGlm46vForCausalLMATB extends FlashGlm4vForCausalLMATB<Glm46vConfig> {
  override readonly name = 'glm46v';

  constructor(config: Glm46vConfig, weights: Weights) {
    super(config, weights, 'sparseLayers' in config ? sparseLayers(config, glm4MoeParts(config)) : undefined);
  }
}

export const Glm46vRouter = routerOf(GLM46V_CONFIG, FlashGlm46vForCausalLMATB, {
  mediaProcessor: (folder, config, encode) => Glm4vProcessor.read(folder, config, encode, 'Glm46VProcessor'),
  about: {
    kind: 'media',
    features: ['as glm4v', 'text of glm4v or glm4v_moe', 'times of frames to tenths'],
    reference: 'transformers',
  },
});
registerModel('glm46v', Glm46vRouter);
