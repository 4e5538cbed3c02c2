import { constant, defineConfig, expertGroups, field, integer, only } from '../../layers/config/index.js';
import { registerModel, routerOf } from '../../router/index.js';
import { DEEPSEEK_IRRELEVANT, deepseek } from '../deepseek_v2/index.js';
import { deepseekV3Rope, FlashDeepseekV3ForCausalLMATB, SIGMOID } from '../deepseek_v3/index.js';
import { SARVAM_IRRELEVANT, sarvamExperts } from '../sarvam_moe/index.js';

/** Defaults of transformers 5.24, SarvamMLAConfig. */
const SARVAM_MLA_CONFIG = defineConfig({
  fields: {
    ...deepseek({
      qLoraRank: undefined,
      kvLoraRank: 512,
      qkNopeHeadDim: 128,
      qkRopeHeadDim: 64,
      vHeadDim: 128,
      experts: { numExperts: 128, numExpertsPerToken: 8, moeIntermediateSize: 2048, normTopkProb: true },
      sharedExperts: 1,
      firstDenseLayers: 1,
      routedScalingFactor: 2.5,
      mlpBias: false,
    }),
    ...sarvamExperts,
    /** Of the part that turns: published files call something else `head_dim`. */
    headDim: field('qk_rope_head_dim', integer(1, 1000), 64),
    expertGroups: expertGroups({ count: 1, kept: 1, scored: 2 }),
    scoring: SIGMOID,
    choice: field('topk_method', only('noaux_tc'), 'noaux_tc'),
    sumGuard: constant({ added: 1e-20 }),
    rope: deepseekV3Rope,
  },
  irrelevant: {
    ...DEEPSEEK_IRRELEVANT,
    ...SARVAM_IRRELEVANT,
    head_dim: 'is what another program calls the numbers that it keeps of a token',
    q_head_dim: 'is the sum of both parts of a head',
    use_qk_norm: 'names no norm beside those of latent attention',
  },
});

/** Sarvam 105B: DeepSeek-V3 without q-lora, whose experts stand in one group. */
export class FlashSarvamMlaForCausalLMATB extends FlashDeepseekV3ForCausalLMATB {
  override readonly name = 'sarvam_mla';
}

export const SarvamMlaRouter = routerOf(SARVAM_MLA_CONFIG, FlashSarvamMlaForCausalLMATB, {
  about: {
    kind: 'experts',
    features: ['as deepseek_v3', 'one group of experts'],
    reference: 'transformers',
  },
});
registerModel('sarvam_mla', SarvamMlaRouter);
