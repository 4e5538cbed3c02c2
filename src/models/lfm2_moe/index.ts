import {
  type ConfigOf,
  defineConfig,
  experts,
  field,
  flag,
  routedScalingFactor,
  sparseBehind,
} from '../../layers/config/index.js';
import { ExpertRouter } from '../../layers/experts/expert-router.js';
import { Experts, SparseMLP } from '../../layers/experts/experts.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import type { BaseModelATB } from '../base/base-model-atb.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';
import { LFM2_FIELDS, lfm2MLP, lfm2Model } from '../lfm2/index.js';

/** Defaults of transformers 5.24, Lfm2MoeConfig. */
const LFM2_MOE_CONFIG = defineConfig({
  fields: {
    ...LFM2_FIELDS,
    ...experts({ numExperts: 32, numExpertsPerToken: 4, moeIntermediateSize: 1792, normTopkProb: true }),
    sparseLayers: sparseBehind('num_dense_layers', 2),
    isCorrected: field('use_expert_bias', flag, true),
    routedScalingFactor: routedScalingFactor(1),
  },
});
type Lfm2MoeConfig = ConfigOf<typeof LFM2_MOE_CONFIG>;

/** Experts by their sigmoids, which a bias corrects for the choice alone. */
function sparseMLP(config: Lfm2MoeConfig, at: Weights): SparseMLP {
  const correction = config.isCorrected ? { correction: 'expert_bias' } : {};
  return new SparseMLP({
    router: new ExpertRouter({ ...config, scoring: 'sigmoid', sumGuard: { added: 1e-6 } }, at, {
      gate: 'gate.weight',
      ...correction,
    }),
    experts: new Experts(config, at.at('experts'), { gate: 'w1', up: 'w3', down: 'w2' }),
  });
}

/** LFM2 with experts in the place of most MLPs. */
export class FlashLfm2MoeForCausalLMATB extends FlashForCausalLMATB<Lfm2MoeConfig> {
  readonly name = 'lfm2_moe';
  protected readonly model: BaseModelATB;

  constructor(config: Lfm2MoeConfig, weights: Weights) {
    super(config, weights);
    this.model = lfm2Model(config, weights.at('model'), (layerId, at) =>
      config.sparseLayers[layerId] ? sparseMLP(config, at) : lfm2MLP(config, at),
    );
  }
}

export const Lfm2MoeRouter = routerOf(LFM2_MOE_CONFIG, FlashLfm2MoeForCausalLMATB, {
  about: { kind: 'experts', features: ['as lfm2', 'corrected choice'], reference: 'transformers' },
});
registerModel('lfm2_moe', Lfm2MoeRouter);
