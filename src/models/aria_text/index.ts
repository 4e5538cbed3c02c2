import {
  biases,
  type ConfigOf,
  decoder,
  defineConfig,
  experts,
  fullAttention,
  keysBecause,
  LLAMA_DEFAULTS,
  sharedExperts,
} from '../../layers/config/index.js';
import { ExpertRouter } from '../../layers/experts/expert-router.js';
import { Experts, SparseMLP, sharedMLP } from '../../layers/experts/experts.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { ExpertStacks } from '../../weights/expert-stacks.js';
import { rowsOf, transposed } from '../../weights/weight-changes.js';
import type { Weights } from '../../weights/weights.js';
import { FlashSparseLlamaATB } from '../llama/index.js';

/** Defaults of transformers 5.24, AriaTextConfig. */
const ARIA_TEXT_CONFIG = defineConfig({
  fields: {
    ...decoder(LLAMA_DEFAULTS),
    // Of everything but experts that tokens are given to.
    ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: 'mlp_bias' }),
    ...experts({
      numExperts: 8,
      numExpertsPerToken: 2,
      moeIntermediateSize: 'intermediate_size',
      // Softmax of the chosen logits alone is that of all, divided by its sum.
      normTopkProb: 'always',
      names: { numExperts: 'moe_num_experts', numExpertsPerToken: 'moe_topk' },
    }),
    sharedExperts: sharedExperts('moe_num_shared_experts', 2),
    slidingWindows: fullAttention,
  },
  irrelevant: {
    ...keysBecause('is used in training alone', 'moe_z_loss_coeff', 'moe_aux_loss_coeff'),
    moe_intermediate_size: 'the class reads intermediate_size',
  },
});
export type AriaTextConfig = ConfigOf<typeof ARIA_TEXT_CONFIG>;

/** `fc1` [experts, hidden, 2 * width], gates first; `fc2` [experts, width, hidden]. */
const stacksOf = (width: number): ExpertStacks => ({
  'gate_proj.weight': { tensor: 'fc1.weight', part: (own) => rowsOf(transposed(own), 0, width) },
  'up_proj.weight': { tensor: 'fc1.weight', part: (own) => rowsOf(transposed(own), width, width) },
  'down_proj.weight': { tensor: 'fc2.weight', part: transposed },
});

/** A Llama whose every MLP is experts beside one that all tokens share (arXiv:2410.05993, section 2.1). */
export class FlashAriaTextForCausalLMATB extends FlashSparseLlamaATB<AriaTextConfig> {
  override readonly name = 'aria_text';

  constructor(config: AriaTextConfig, weights: Weights) {
    super(config, weights, {
      experts: (at) =>
        new SparseMLP({
          router: new ExpertRouter({ ...config, scoring: 'softmax' }, at, { gate: 'router.weight' }),
          // Experts are gated by SiLU whatever `hidden_act` says of the MLP beside them.
          experts: new Experts({ ...config, hiddenAct: 'silu' }, at.at('experts'), {
            stacks: stacksOf(config.moeIntermediateSize),
          }),
          shared: sharedMLP(config, at.at('shared_experts')),
        }),
    });
  }
}

export const AriaTextRouter = routerOf(ARIA_TEXT_CONFIG, FlashAriaTextForCausalLMATB, {
  about: { kind: 'experts', features: ['a shared expert'], reference: 'transformers' },
});
registerModel('aria_text', AriaTextRouter);
