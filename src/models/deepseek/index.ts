import {
  biases,
  type ConfigOf,
  decoder,
  defineConfig,
  experts,
  field,
  fullAttention,
  keysBecause,
  LLAMA_DEFAULTS,
  only,
  required,
  routedScalingFactor,
  sharedExperts,
  sparseByType,
} from '../../layers/config/index.js';
import { ExpertRouter } from '../../layers/experts/expert-router.js';
import { Experts, SparseMLP, sharedMLP } from '../../layers/experts/experts.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashSparseLlamaATB } from '../llama/index.js';

/** Defaults of configuration_deepseek.py, published beside deepseek-moe-16b. */
const DEEPSEEK_CONFIG = defineConfig({
  fields: {
    ...decoder(LLAMA_DEFAULTS),
    ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: false }),
    ...experts({
      numExperts: required,
      numExpertsPerToken: required,
      moeIntermediateSize: 1407,
      normTopkProb: false,
      names: { numExperts: 'n_routed_experts' },
    }),
    scoringFunc: field('scoring_func', only('softmax'), 'softmax'),
    sharedExperts: sharedExperts('n_shared_experts', 0),
    sparseLayers: sparseByType({ dense: 0 }),
    slidingWindows: fullAttention,
    // What DeepSeek-OCR's files say of the same layers, in the terms of DeepSeek-V2.
    routedScalingFactor: routedScalingFactor(1),
    topkMethod: field('topk_method', only('greedy'), 'greedy'),
    isLatent: field('use_mla', only(false), false),
  },
  irrelevant: {
    ...keysBecause('counts for another topk_method', 'n_group', 'topk_group'),
    ...keysBecause('is of latent attention, which these layers do not have', 'kv_lora_rank', 'q_lora_rank'),
    ...keysBecause('is of latent attention', 'qk_nope_head_dim', 'qk_rope_head_dim', 'v_head_dim'),
    ...keysBecause('says how training built the class', 'lm_head', 'rm_head'),
  },
});

type DeepseekConfig = ConfigOf<typeof DEEPSEEK_CONFIG>;

/** Llama with many small experts, some of which all tokens share (arXiv:2401.06066, section 3). */
export class FlashDeepseekMoeForCausalLMATB extends FlashSparseLlamaATB<DeepseekConfig> {
  readonly name = 'deepseek';

  constructor(config: DeepseekConfig, weights: Weights) {
    super(config, weights, {
      experts: (at) =>
        new SparseMLP({
          router: new ExpertRouter({ ...config, scoring: 'softmax', sumGuard: { added: 1e-20 } }, at),
          experts: new Experts(config, at.at('experts')),
          shared: sharedMLP(config, at.at('shared_experts')),
        }),
    });
  }
}

export const DeepseekRouter = routerOf(DEEPSEEK_CONFIG, FlashDeepseekMoeForCausalLMATB, {
  about: {
    kind: 'experts',
    features: ['shared experts', 'MLPs before experts'],
    reference: 'transformers, as qwen2_moe',
  },
});
registerModel('deepseek', DeepseekRouter);
