import { PositionFreeAttention } from '../../layers/attention/attention-orders.js';
import { SingleStepLayer } from '../../layers/decoder/decoder-layers.js';
import { BaseMLP } from '../../layers/mlp/mlp.js';
import { BaseRMSNorm } from '../../layers/norms/norms.js';
import { HeadedMambaMixer } from '../../layers/recurrent/headed-mamba.js';
import { HybridLayer, wideAttention } from '../../layers/recurrent/hybrid-layer.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { BaseModelATB } from '../base/base-model-atb.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';
import { ZAMBA_CONFIG, type ZambaConfig } from './config-zamba.js';

/**
 * Zamba (arXiv:2405.16712): mixers of Mamba with several heads, before some of which a transformer stands that reads hidden
 * states and embeddings side by side. All of these are one transformer, which knows no positions.
 */
export class FlashZambaForCausalLMATB extends FlashForCausalLMATB<ZambaConfig> {
  readonly name = 'zamba';
  protected readonly model: BaseModelATB;

  constructor(config: ZambaConfig, weights: Weights) {
    super(config, weights);
    const { isHybrid, hiddenSize, rmsNormEps } = config;
    const owner = isHybrid.indexOf(true);
    const inner = weights.at('model');
    const norm = (at: Weights) => new BaseRMSNorm(at, hiddenSize, rmsNormEps);
    this.model = new BaseModelATB(config, inner, {
      layer: (layerId, at) => {
        const mixer = (mixer: Weights) => new HeadedMambaMixer(layerId, config, mixer);
        if (!isHybrid[layerId])
          return new SingleStepLayer(layerId, at, norm(at.at('input_layernorm')), mixer(at.at('mamba')));
        // Files that do not share what is the same have it in each layer.
        const own = at.at('shared_transf');
        const isOwn = own.has('input_layernorm.weight');
        const shared = isOwn ? own : inner.at('layers').at(owner).at('shared_transf');
        const wide = wideAttention(config);
        return new HybridLayer(layerId, config, at, {
          ...{ shared, mixer },
          selfAttn: new PositionFreeAttention(layerId, config, shared.at('self_attn'), wide),
          mlp: new BaseMLP(config, shared.at('feed_forward')),
          use: isHybrid.slice(0, layerId).filter(Boolean).length,
        });
      },
      norm: norm(inner.at('final_layernorm')),
    });
  }
}

export const ZambaRouter = routerOf(ZAMBA_CONFIG, FlashZambaForCausalLMATB, {
  about: {
    kind: 'variant',
    features: ['mixers of Mamba with several heads', 'a transformer that layers share'],
    reference: 'transformers',
  },
});
registerModel('zamba', ZambaRouter);
