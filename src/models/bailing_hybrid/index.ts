import { GatedLatentAttention } from '../../layers/attention/gated-latent-attention.js';
import { clampVariant } from '../../layers/config/index.js';
import { PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import { sigmoidExperts } from '../../layers/experts/sigmoid-experts.js';
import { BaseMLP } from '../../layers/mlp/mlp.js';
import { BaseRMSNorm } from '../../layers/norms/norms.js';
import { KimiDeltaAttention } from '../../layers/recurrent/kimi-delta-attention.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { BaseModelATB } from '../base/base-model-atb.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';
import { BAILING_HYBRID_CONFIG, type BailingHybridConfig } from './config-bailing-hybrid.js';

export * from './config-bailing-hybrid.js';

const HEAD = { embedding: 'model.word_embeddings', head: 'lm_head' };

/** Attention of a layer: latent in the last of each group, linear in the others. `weights` is its cursor. */
function attentionOf(layerId: number, config: BailingHybridConfig, weights: Weights) {
  if (config.attends[layerId]) return new GatedLatentAttention(layerId, config, weights, { dense: 'dense' });
  // Transformers writes this name there, too.
  const dense = weights.has('dense.weight') ? 'dense' : 'o_proj';
  return new KimiDeltaAttention(layerId, config, weights, { dense, logDecayShape: (heads) => [heads] });
}

/** Experts of a layer, in the last of which activations have limits. `weights` is their cursor. */
function expertsOf(layerId: number, config: BailingHybridConfig, weights: Weights) {
  const clamps = { clamp: config.clamps[layerId], sharedClamp: config.sharedClamps[layerId] };
  return sigmoidExperts({ ...config, ...clamps }, weights, { correction: 'gate.expert_bias' });
}

/** Tells layers apart by what they are made of. */
function variantOf(layerId: number, { attends, sparseLayers, clamps, sharedClamps }: BailingHybridConfig) {
  const isSparse = sparseLayers[layerId];
  const own = isSparse ? clampVariant(clamps[layerId], sharedClamps[layerId]) : '';
  const parts = [attends[layerId] ? '' : 'linear', isSparse ? 'sparse' : '', own];
  return parts.filter((part) => part !== '').join('_');
}

/** Ling 3: Kimi Linear with gates of full rank, bounded decays, and latent attention that turns and has a gate. */
export class FlashBailingHybridForCausalLMATB extends FlashForCausalLMATB<BailingHybridConfig> {
  readonly name = 'bailing_hybrid';
  protected readonly model: BaseModelATB;

  constructor(config: BailingHybridConfig, weights: Weights) {
    super(config, weights, { names: HEAD });
    const norm = (at: Weights) => new BaseRMSNorm(at, config.hiddenSize, config.rmsNormEps);
    const layer = (layerId: number, at: Weights) => {
      const mlp = at.at('mlp');
      const parts = {
        inputLayernorm: norm(at.at('input_layernorm')),
        selfAttn: attentionOf(layerId, config, at.at('attention')),
        postAttentionLayernorm: norm(at.at('post_attention_layernorm')),
        mlp: config.sparseLayers[layerId] ? expertsOf(layerId, config, mlp) : new BaseMLP(config, mlp),
      };
      return new PreNormLayer(layerId, at, parts, variantOf(layerId, config));
    };
    const inner = weights.at('model');
    const names = { embedding: 'word_embeddings', layers: 'layers' };
    this.model = new BaseModelATB(config, inner, { names, layer, norm: norm(inner.at('norm')) });
  }
}

export const BailingHybridRouter = routerOf(BAILING_HYBRID_CONFIG, FlashBailingHybridForCausalLMATB, {
  about: {
    kind: 'experts',
    features: [
      'as kimi_linear',
      'bounded decays',
      'latent attention with gates of heads',
      'groups of experts',
    ],
    reference: 'transformers',
  },
  headNames: HEAD,
});
registerModel('bailing_hybrid', BailingHybridRouter);
