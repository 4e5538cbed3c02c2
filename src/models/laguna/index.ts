import { ExpertRouter } from '../../layers/experts/expert-router.js';
import { Experts, SparseMLP } from '../../layers/experts/experts.js';
import { BaseMLP } from '../../layers/mlp/mlp.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashSparseLlamaATB } from '../llama/index.js';
import { LagunaAttention } from './attention.js';
import { LAGUNA_CONFIG, type LagunaConfig } from './config-laguna.js';

/** Corrected sigmoids choose experts, beside one that all tokens share. Throws what `ExpertRouter` and `Experts` throw. */
function lagunaExperts(config: LagunaConfig, weights: Weights): SparseMLP {
  const shared = { ...config, intermediateSize: config.sharedIntermediateSize };
  return new SparseMLP({
    router: new ExpertRouter({ ...config, scoring: 'sigmoid' }, weights, {
      gate: 'gate.weight',
      correction: 'experts.e_score_correction_bias',
    }),
    experts: new Experts(config, weights.at('experts')),
    shared: new BaseMLP(shared, weights.at('shared_expert')),
  });
}

/** Laguna: more heads of queries in layers with a window, each of which has a gate, and a rotary embedding for these. */
export class FlashLagunaForCausalLMATB extends FlashSparseLlamaATB<LagunaConfig> {
  readonly name = 'laguna';

  constructor(config: LagunaConfig, weights: Weights) {
    const { headsByLayer, numAttentionHeads } = config;
    super(config, weights, {
      selfAttn: (layerId, at) => new LagunaAttention(layerId, config, at),
      variant: (layerId) =>
        headsByLayer[layerId] === numAttentionHeads ? '' : `${headsByLayer[layerId]}_heads`,
      experts: (at) => lagunaExperts(config, at),
    });
  }
}

export const LagunaRouter = routerOf(LAGUNA_CONFIG, FlashLagunaForCausalLMATB, {
  about: {
    kind: 'experts',
    features: [
      ...[
        'gates of heads',
        'heads by layer',
        'norms of q and k',
        'windows by layer',
        'two rotary embeddings',
      ],
      ...['corrected choice', 'a shared expert'],
    ],
    reference: 'transformers',
  },
});
registerModel('laguna', LagunaRouter);
