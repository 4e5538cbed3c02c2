import {
  type ConfigOf,
  defineConfig,
  expertGroups,
  field,
  indexer,
  positive,
  sharedIndexers,
} from '../../layers/config/index.js';
import { registerModel, routerOf } from '../../router/index.js';
import { DEEPSEEK_IRRELEVANT, deepseek } from '../deepseek_v2/index.js';
import { FlashSparseDeepseekATB, sparseDeepseek } from '../deepseek_v32/index.js';

/** Defaults of transformers 5.24, GlmMoeDsaConfig. */
const GLM_MOE_DSA_CONFIG = defineConfig({
  fields: {
    ...deepseek({
      qLoraRank: 2048,
      kvLoraRank: 512,
      qkNopeHeadDim: 192,
      qkRopeHeadDim: 64,
      vHeadDim: 256,
      experts: { numExperts: 256, numExpertsPerToken: 8, moeIntermediateSize: 2048, normTopkProb: true },
      sharedExperts: 1,
      firstDenseLayers: 3,
      routedScalingFactor: 2.5,
      mlpBias: false,
    }),
    rmsNormEps: field('rms_norm_eps', positive(1), 1e-5),
    ...sparseDeepseek(2048),
    ...indexer({ heads: 32, interleaved: true }),
    indexOwners: sharedIndexers,
    expertGroups: expertGroups({ count: 1, kept: 1, scored: 2 }),
  },
  irrelevant: DEEPSEEK_IRRELEVANT,
});

/** DeepSeek-V3.2 of other sizes, whose layers may share what an earlier one chose (arXiv:2603.12201). */
export class FlashGlmMoeDsaForCausalLMATB extends FlashSparseDeepseekATB<
  ConfigOf<typeof GLM_MOE_DSA_CONFIG>
> {
  override readonly name = 'glm_moe_dsa';
}

export const GlmMoeDsaRouter = routerOf(GLM_MOE_DSA_CONFIG, FlashGlmMoeDsaForCausalLMATB, {
  about: {
    kind: 'experts',
    features: ['as deepseek_v32', 'layers that share a choice of keys'],
    reference: 'transformers',
  },
});
registerModel('glm_moe_dsa', GlmMoeDsaRouter);
