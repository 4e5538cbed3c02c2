import {
  type ConfigOf,
  defineConfig,
  expertGroups,
  type Field,
  field,
  oneOf,
  only,
  rotaryConfig,
} from '../../layers/config/index.js';
import { registerModel, routerOf } from '../../router/index.js';
import { DEEPSEEK_IRRELEVANT, deepseek } from './config-deepseek.js';
import { FlashDeepseekForCausalLMATB } from './modeling-deepseek-atb.js';

export * from './config-deepseek.js';
export * from './modeling-deepseek-atb.js';

const METHOD = field('topk_method', oneOf('greedy', 'group_limited_greedy'), 'greedy');
const GROUPS = expertGroups({ count: undefined, kept: undefined, scored: 1 });

/** Groups count for one of the methods alone; the others' files may say how many there are. */
const limitedGroups: typeof GROUPS = {
  read(json, config) {
    const limited = METHOD.read(json, {}) === 'group_limited_greedy';
    for (const key of ['n_group', 'topk_group']) json.raw(key);
    return limited ? GROUPS.read(json, config) : undefined;
  },
};

const SOFTMAX: Field<'softmax'> = field('scoring_func', only('softmax'), 'softmax');

/** Defaults of transformers 5.24, DeepseekV2Config. */
const DEEPSEEK_V2_CONFIG = defineConfig({
  fields: {
    ...deepseek({
      qLoraRank: 1536,
      kvLoraRank: 512,
      qkNopeHeadDim: 128,
      qkRopeHeadDim: 64,
      vHeadDim: 128,
      experts: { numExperts: 64, numExpertsPerToken: 6, moeIntermediateSize: 1407, normTopkProb: false },
      sharedExperts: 2,
      firstDenseLayers: 0,
      routedScalingFactor: 1,
      mlpBias: 'mlp_bias',
    }),
    scoring: SOFTMAX,
    expertGroups: limitedGroups,
    // The published code divides weights by their sum then, and leaves out the factor; no published model asks for it.
    normTopkProb: field('norm_topk_prob', only(false), false),
    rope: rotaryConfig({ theta: 10_000, interleaved: true }),
  },
  irrelevant: DEEPSEEK_IRRELEVANT,
});
type DeepseekV2Config = ConfigOf<typeof DEEPSEEK_V2_CONFIG>;

/** DeepSeek-V2, with q-lora or, as Lite, without (arXiv:2405.04434). */
export class FlashDeepseekV2ForCausalLMATB extends FlashDeepseekForCausalLMATB<DeepseekV2Config> {
  override readonly name: string = 'deepseek_v2';
}

export const DeepseekV2Router = routerOf(DEEPSEEK_V2_CONFIG, FlashDeepseekV2ForCausalLMATB, {
  about: {
    kind: 'experts',
    features: ['latent attention', 'shared experts', 'groups of experts', 'MLPs before experts'],
    reference: 'transformers',
  },
});
registerModel('deepseek_v2', DeepseekV2Router);
