import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { PositionFreeAttention, RotaryAttention } from '../../layers/attention/attention-orders.js';
import { ExpertRouter } from '../../layers/experts/expert-router.js';
import { Experts, SparseMLP, sharedMLP } from '../../layers/experts/experts.js';
import { addScaled } from '../../layers/formulas/residual.js';
import { BaseMLP } from '../../layers/mlp/mlp.js';
import { BaseRMSNorm } from '../../layers/norms/norms.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashParallelCohereATB } from '../cohere/index.js';
import { COHERE2_MOE_CONFIG, type Cohere2MoeConfig } from './config-cohere2-moe.js';

/** Half of the sum of a token's experts and of what all tokens share. */
class AveragedSparseMLP extends SparseMLP {
  override buildGraph(graph: AtbGraph, kind: GraphKind, input: string): string {
    return addScaled(graph, super.buildGraph(graph, kind, input), 0.5, 'moe_average');
  }
}

/** Experts of the highest logits. Throws what `ExpertRouter` and `Experts` throw. */
function commandExperts(config: Cohere2MoeConfig, weights: Weights): SparseMLP {
  const shared = sharedMLP(config, weights.at('shared_experts'));
  // A softmax of what was chosen sums up to 1 already.
  const normTopkProb = config.normTopkProb && config.scoring === 'sigmoid';
  const Combined = shared && config.combination === 'average' ? AveragedSparseMLP : SparseMLP;
  return new Combined({
    router: new ExpertRouter({ ...config, choosesByLogits: true, normTopkProb }, weights),
    experts: new Experts(config, weights.at('experts')),
    shared,
  });
}

/** Command A+ and North: layers with a window know positions, and first layers without experts may know them, too. */
export class FlashCohere2MoeForCausalLMATB extends FlashParallelCohereATB<Cohere2MoeConfig> {
  readonly name = 'cohere2_moe';

  constructor(config: Cohere2MoeConfig, weights: Weights) {
    const { hiddenSize, rmsNormEps, sparseLayers, slidingWindows, firstPattern } = config;
    const dense = { ...config, intermediateSize: config.denseIntermediateSize };
    super(config, weights, {
      attention(layerId, at) {
        const isForced = !sparseLayers[layerId] && firstPattern === 1;
        const rotates = isForced || slidingWindows[layerId] !== undefined;
        const Attention = rotates ? RotaryAttention : PositionFreeAttention;
        return new Attention(layerId, config, at);
      },
      mlp: (layerId, at) => (sparseLayers[layerId] ? commandExperts(config, at) : new BaseMLP(dense, at)),
      ...(rmsNormEps !== undefined && { norm: (at) => new BaseRMSNorm(at, hiddenSize, rmsNormEps) }),
      variant: (layerId) => (sparseLayers[layerId] ? '' : 'dense'),
    });
  }
}

export const Cohere2MoeRouter = routerOf(COHERE2_MOE_CONFIG, FlashCohere2MoeForCausalLMATB, {
  about: {
    kind: 'experts',
    features: ['as cohere2', 'RMSNorm or LayerNorm', 'experts of the highest logits', 'MLPs before experts'],
    reference: 'transformers',
  },
});
registerModel('cohere2_moe', Cohere2MoeRouter);
