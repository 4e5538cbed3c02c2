import { AdaptedAttention, AdaptedMLP } from '../../layers/attention/adapted-steps.js';
import { SingleStepLayer } from '../../layers/decoder/decoder-layers.js';
import { BaseRMSNorm } from '../../layers/norms/norms.js';
import { HybridLayer, wideAttention } from '../../layers/recurrent/hybrid-layer.js';
import { Mamba2Mixer } from '../../layers/recurrent/mamba2.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { BaseModelATB } from '../base/base-model-atb.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';
import { ZAMBA2_CONFIG, type Zamba2Config } from './config-zamba2.js';

export * from './config-zamba2.js';

/** Its mixers' norms have an epsilon of their own. */
const mixerOf = (layerId: number, config: Zamba2Config, at: Weights): Mamba2Mixer =>
  new Mamba2Mixer(layerId, { ...config, rmsNormEps: 1e-5 }, at);

/**
 * Zamba2 (arXiv:2411.15242): mixers of Mamba-2, before some of which a transformer stands that reads hidden states and
 * embeddings side by side. All of these are one transformer, or few in turn, with adapters for each place. Steps of time are
 * limited by `time_step_limit`, as in other models of Mamba-2; transformers 5.24 makes those of prompts, but not of what it
 * generates, at least `time_step_min`.
 */
export class FlashZamba2ForCausalLMATB extends FlashForCausalLMATB<Zamba2Config> {
  readonly name = 'zamba2';
  protected readonly model: BaseModelATB;

  constructor(config: Zamba2Config, weights: Weights) {
    super(config, weights);
    const { isHybrid, sharedBlocks, hiddenSize, rmsNormEps, adapterRank: rank, adaptsAttention } = config;
    const hybridLayers = isHybrid.flatMap((is, layerId) => (is ? [layerId] : []));
    const inner = weights.at('model');
    const norm = (at: Weights) => new BaseRMSNorm(at, hiddenSize, rmsNormEps);
    this.model = new BaseModelATB(config, inner, {
      layer: (layerId, at) => {
        const use = hybridLayers.indexOf(layerId);
        if (use === -1) {
          const mixer = mixerOf(layerId, config, at.at('mamba'));
          return new SingleStepLayer(layerId, at, norm(at.at('input_layernorm')), mixer);
        }
        // Files that do not share what is the same have it in each layer.
        const owner = hybridLayers[use % sharedBlocks] ?? layerId;
        const own = at.at('shared_transformer');
        const isOwn = own.has('input_layernorm.weight');
        const shared = isOwn ? own : inner.at('layers').at(owner).at('shared_transformer');
        const adapters = adaptsAttention ? { rank, use } : undefined;
        const wide = wideAttention(config);
        return new HybridLayer(layerId, config, at, {
          ...{ shared, use },
          selfAttn: new AdaptedAttention(layerId, config, shared.at('self_attn'), wide, adapters),
          mlp: new AdaptedMLP(config, shared.at('feed_forward'), { rank, use }),
          mixer: (mixer) => mixerOf(layerId, config, mixer),
        });
      },
      norm: norm(inner.at('final_layernorm')),
    });
  }
}

export const Zamba2Router = routerOf(ZAMBA2_CONFIG, FlashZamba2ForCausalLMATB, {
  about: {
    kind: 'variant',
    features: ['mixers of Mamba-2', 'attention and MLPs that layers share, with adapters'],
    reference: 'transformers',
  },
  // Where layers do not share a transformer, each has the adapters of all.
  harmlessTensors: [/\.shared_transformer\..*adapter_list\./],
});
registerModel('zamba2', Zamba2Router);
