import { LatentAttention } from '../../layers/attention/latent-attention.js';
import type { LatentAttentionConfig } from '../../layers/attention-config.js';
import { ExpertRouter, type RouterConfig, type RouterNames } from '../../layers/experts/expert-router.js';
import { Experts, type ExpertsConfig, SparseMLP, sharedMLP } from '../../layers/experts/experts.js';
import type { Weights } from '../../weights/weights.js';
import { FlashSparseLlamaATB, type SparseLlamaConfig, type SparseLlamaParts } from '../llama/index.js';

/** What DeepSeek's models have beside a decoder's configuration. */
export interface DeepseekConfig
  extends SparseLlamaConfig,
    LatentAttentionConfig,
    ExpertsConfig,
    RouterConfig {
  readonly hiddenSize: number;
  readonly numAttentionHeads: number;
  readonly kvLoraRank: number;
  readonly headDim: number;
  readonly qkvBias: boolean;
  readonly denseBias: boolean;
  readonly rope: SparseLlamaConfig['rope'];
  readonly hiddenAct: SparseLlamaConfig['hiddenAct'];
  readonly numExperts: number;
  readonly numExpertsPerToken: number;
  /** How many experts' width all tokens pass through beside those that they choose. */
  readonly sharedExperts: number;
}

/** Latent attention, and experts behind the first layers (arXiv:2405.04434, section 2). */
export abstract class FlashDeepseekForCausalLMATB<C extends DeepseekConfig> extends FlashSparseLlamaATB<C> {
  /** `names`: those of the router's tensors in a layer's MLP. `attention`: another than latent one to all keys. */
  constructor(
    config: C,
    weights: Weights,
    names?: RouterNames,
    attention: Pick<SparseLlamaParts, 'selfAttn' | 'variant'> = {},
  ) {
    super(config, weights, {
      selfAttn: (layerId, at) => new LatentAttention(layerId, config, at),
      ...attention,
      experts: (at) =>
        new SparseMLP({
          router: new ExpertRouter(config, at, names),
          experts: new Experts(config, at.at('experts')),
          shared: sharedMLP(config, at.at('shared_experts')),
        }),
    });
  }
}
