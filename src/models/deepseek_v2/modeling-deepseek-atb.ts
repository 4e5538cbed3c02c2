import type { DecoderConfig } from '../../layers/config/index.js';
import {
  ExpertRouter,
  Experts,
  type ExpertsConfig,
  type RouterConfig,
  SparseMLP,
} from '../../layers/experts.js';
import { LatentAttention, type LatentAttentionConfig } from '../../layers/latent-attention.js';
import { BaseMLP } from '../../layers/mlp.js';
import type { Weights } from '../../weights/weights.js';
import { FlashLlamaForCausalLMATB, LlamaLayer } from '../llama/index.js';

/** What DeepSeek's models have beside a decoder's configuration. */
export interface DeepseekConfig extends DecoderConfig, LatentAttentionConfig, ExpertsConfig, RouterConfig {
  readonly hiddenSize: number;
  readonly numAttentionHeads: number;
  readonly kvLoraRank: number;
  readonly headDim: number;
  readonly qkvBias: boolean;
  readonly denseBias: boolean;
  readonly rope: DecoderConfig['rope'];
  readonly hiddenAct: DecoderConfig['hiddenAct'];
  readonly numExperts: number;
  readonly numExpertsPerToken: number;
  /** The first layers, which have an MLP in place of experts. */
  readonly firstDenseLayers: number;
  /** How many experts' width all tokens pass through beside those that they choose. */
  readonly numSharedExperts: number;
}

/** Latent attention, and experts behind the first layers (arXiv:2405.04434, section 2). */
export abstract class FlashDeepseekForCausalLMATB<
  C extends DeepseekConfig,
> extends FlashLlamaForCausalLMATB<C> {
  /** `correction`: the checkpoint's name, in a layer's MLP, of what is added to scores for the choice alone. */
  constructor(config: C, weights: Weights, correction?: string) {
    super(config, weights, (layerId, at) => {
      const selfAttn = new LatentAttention(layerId, config, at.at('self_attn'));
      if (layerId < config.firstDenseLayers)
        return new LlamaLayer(layerId, config, at, { selfAttn, variant: 'dense' });
      const own = at.at('mlp');
      const { numSharedExperts, moeIntermediateSize } = config;
      const shared = { ...config, intermediateSize: moeIntermediateSize * numSharedExperts };
      const mlp = new SparseMLP({
        router: new ExpertRouter(config, own, {
          gate: 'gate.weight',
          ...(correction !== undefined && { correction }),
        }),
        experts: new Experts(config, own.at('experts')),
        ...(numSharedExperts > 0 && { shared: new BaseMLP(shared, own.at('shared_experts')) }),
      });
      return new LlamaLayer(layerId, config, at, { selfAttn, mlp });
    });
  }
}
