import { PositionFreeAttention } from '../../layers/attention/attention-orders.js';
import { PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import { UngatedMLP } from '../../layers/mlp/mlp.js';
import { BaseLayerNorm } from '../../layers/norms/norms.js';
import { type HeadNames, registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { BaseModelATB } from '../base/base-model-atb.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';
import { MPT_CONFIG, type MptConfig } from './config-mpt.js';

const HEAD: HeadNames = { embedding: 'transformer.wte', head: 'lm_head' };

/** ALiBi, and no biases, not even of norms; queries, keys and values may be bounded. */
export class FlashMptForCausalLMATB extends FlashForCausalLMATB<MptConfig> {
  readonly name = 'mpt';
  protected readonly model: BaseModelATB;

  constructor(config: MptConfig, weights: Weights) {
    super(config, weights, { names: HEAD });
    const { clipQkv: clip, scale } = config.attention;
    const norm = (at: Weights) =>
      new BaseLayerNorm(at, config.hiddenSize, config.layerNormEps, { hasBias: false });
    const inner = weights.at('transformer');
    this.model = new BaseModelATB(config, inner, {
      layer: (layerId, at) =>
        new PreNormLayer(layerId, at, {
          inputLayernorm: norm(at.at('norm_1')),
          selfAttn: new PositionFreeAttention(layerId, config, at.at('attn'), {
            qkv: { packed: 'Wqkv', order: 'blocks' },
            dense: 'out_proj',
            clip,
            ...(scale !== undefined && { scale }),
          }),
          postAttentionLayernorm: norm(at.at('norm_2')),
          mlp: new UngatedMLP(config, at.at('ffn')),
        }),
      norm: norm(inner.at('norm_f')),
      names: { embedding: 'wte', layers: 'blocks' },
    });
  }
}

export const MptRouter = routerOf(MPT_CONFIG, FlashMptForCausalLMATB, {
  headNames: HEAD,
  about: {
    kind: 'positions',
    features: ['ALiBi', 'bounded projections', 'MLP without a gate'],
    reference: 'transformers',
  },
});
registerModel('mpt', MptRouter);
