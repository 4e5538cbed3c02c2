import {
  type ConfigOf,
  constant,
  defineConfig,
  expertGroups,
  type Field,
  field,
  flag,
  only,
  type RotarySizes,
  rotaryConfig,
} from '../../layers/config/index.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { RopeConfig } from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import { DEEPSEEK_IRRELEVANT, deepseek, FlashDeepseekForCausalLMATB } from '../deepseek_v2/index.js';

/** Files may be written for pairs that lie apart. */
export const deepseekV3Rope: Field<RopeConfig, RotarySizes> = {
  read(json, config) {
    const interleaved = json.value('rope_interleave', flag) ?? true;
    return rotaryConfig({ theta: 10_000, interleaved }).read(json, config);
  },
};

export const SIGMOID: Field<'sigmoid'> = field('scoring_func', only('sigmoid'), 'sigmoid');

/** Sizes and experts, and what they are in files that are silent: defaults of transformers 5.24, DeepseekV3Config. */
export const deepseekV3 = {
  ...deepseek({
    qLoraRank: 1536,
    kvLoraRank: 512,
    qkNopeHeadDim: 128,
    qkRopeHeadDim: 64,
    vHeadDim: 128,
    experts: { numExperts: 256, numExpertsPerToken: 8, moeIntermediateSize: 2048, normTopkProb: true },
    sharedExperts: 1,
    firstDenseLayers: 3,
    routedScalingFactor: 2.5,
    mlpBias: false,
  }),
  expertGroups: expertGroups({ count: 8, kept: 4, scored: 2 }),
};

const DEEPSEEK_V3_CONFIG = defineConfig({
  fields: {
    ...deepseekV3,
    scoring: SIGMOID,
    sumGuard: constant({ added: 1e-20 }),
    choice: field('topk_method', only('noaux_tc'), 'noaux_tc'),
    rope: deepseekV3Rope,
  },
  irrelevant: DEEPSEEK_IRRELEVANT,
});
type DeepseekV3Config = ConfigOf<typeof DEEPSEEK_V3_CONFIG>;

/** DeepSeek-V2 whose experts are chosen by corrected sigmoids (arXiv:2412.19437, section 2.1.2). */
export class FlashDeepseekV3ForCausalLMATB extends FlashDeepseekForCausalLMATB<DeepseekV3Config> {
  override readonly name: string = 'deepseek_v3';

  constructor(config: DeepseekV3Config, weights: Weights) {
    super(config, weights, { gate: 'gate.weight', correction: 'gate.e_score_correction_bias' });
  }
}

export const DeepseekV3Router = routerOf(DEEPSEEK_V3_CONFIG, FlashDeepseekV3ForCausalLMATB, {
  about: {
    kind: 'experts',
    features: ['as deepseek_v2', 'corrected sigmoids'],
    reference: 'transformers',
  },
});
registerModel('deepseek_v3', DeepseekV3Router);
