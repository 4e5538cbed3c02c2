import {
  constant,
  defineConfig,
  expertGroups,
  field,
  only,
  positive,
  sparseByType,
} from '../../layers/config/index.js';
import { registerModel, routerOf } from '../../router/index.js';
import { DEEPSEEK_IRRELEVANT, deepseek } from '../deepseek_v2/index.js';
import { deepseekV3Rope, FlashDeepseekV3ForCausalLMATB, SIGMOID } from '../deepseek_v3/index.js';

/** Defaults of transformers 5.24, Glm4MoeLiteConfig. */
const GLM4_MOE_LITE_CONFIG = defineConfig({
  fields: {
    ...deepseek({
      qLoraRank: 768,
      kvLoraRank: 512,
      qkNopeHeadDim: 192,
      qkRopeHeadDim: 64,
      vHeadDim: 256,
      experts: { numExperts: 64, numExpertsPerToken: 4, moeIntermediateSize: 1536, normTopkProb: true },
      sharedExperts: 1,
      firstDenseLayers: 1,
      routedScalingFactor: 1.8,
      mlpBias: false,
    }),
    rmsNormEps: field('rms_norm_eps', positive(1), 1e-5),
    sparseLayers: sparseByType({ dense: 1 }),
    scoring: SIGMOID,
    sumGuard: constant({ added: 1e-20 }),
    choice: field('topk_method', only('noaux_tc'), 'noaux_tc'),
    expertGroups: expertGroups({ count: 1, kept: 1, scored: 2 }),
    rope: deepseekV3Rope,
  },
  irrelevant: DEEPSEEK_IRRELEVANT,
});

/** GLM 4.7 Flash: DeepSeek-V3 of other sizes. */
export class FlashGlm4MoeLiteForCausalLMATB extends FlashDeepseekV3ForCausalLMATB {
  override readonly name = 'glm4_moe_lite';
}

export const Glm4MoeLiteRouter = routerOf(GLM4_MOE_LITE_CONFIG, FlashGlm4MoeLiteForCausalLMATB, {
  about: { kind: 'experts', features: ['as deepseek_v3', 'one group of experts'], reference: 'transformers' },
});
registerModel('glm4_moe_lite', Glm4MoeLiteRouter);
