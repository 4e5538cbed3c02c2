import { PositionFreeAttention, RotaryAttention } from '../../layers/attention/attention-orders.js';
import type { BaseLayer } from '../../layers/decoder/base-layer.js';
import { ParallelLayer, PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import { UngatedMLP } from '../../layers/mlp/mlp.js';
import { BaseLayerNorm } from '../../layers/norms/norms.js';
import { type HeadNames, registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { BaseModelATB } from '../base/base-model-atb.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';
import { FALCON_CONFIG, type FalconConfig } from './config-falcon.js';

const HEAD: HeadNames = { embedding: 'transformer.word_embeddings', head: 'lm_head' };

/** Parallel layers, with one norm or two, or sequential ones, over three packings of queries, keys and values. */
function falconLayer(layerId: number, config: FalconConfig, weights: Weights): BaseLayer {
  const { isNewArchitecture, isMultiQuery, isParallel, parallelNorms, hiddenSize, layerNormEps } = config;
  const norm = (name: string) => new BaseLayerNorm(weights.at(name), hiddenSize, layerNormEps);
  const Attention = config.usesAlibi ? PositionFreeAttention : RotaryAttention;
  const order = isMultiQuery && !isNewArchitecture ? 'blocks' : 'groups';
  const steps = {
    selfAttn: new Attention(layerId, config, weights.at('self_attention'), {
      qkv: { packed: 'query_key_value', order },
      dense: 'dense',
    }),
    mlp: new UngatedMLP(config, weights.at('mlp'), { names: { up: 'dense_h_to_4h', down: 'dense_4h_to_h' } }),
  };
  if (parallelNorms === 2) {
    const norms = { inputLayernorm: norm('ln_attn'), postAttentionLayernorm: norm('ln_mlp') };
    return new ParallelLayer(layerId, weights, { ...norms, ...steps });
  }
  const inputLayernorm = norm('input_layernorm');
  if (isParallel) return new ParallelLayer(layerId, weights, { inputLayernorm, ...steps });
  const postAttentionLayernorm = norm('post_attention_layernorm');
  return new PreNormLayer(layerId, weights, { inputLayernorm, postAttentionLayernorm, ...steps });
}

/** Falcon (arXiv:2311.16867, section 4), and RefinedWeb's models with ALiBi (arXiv:2306.01116, section 4.1). */
export class FlashFalconForCausalLMATB extends FlashForCausalLMATB<FalconConfig> {
  readonly name = 'falcon';
  protected readonly model: BaseModelATB;

  constructor(config: FalconConfig, weights: Weights) {
    super(config, weights, { names: HEAD });
    const inner = weights.at('transformer');
    const { hiddenSize, layerNormEps } = config;
    this.model = new BaseModelATB(config, inner, {
      layer: (layerId, at) => falconLayer(layerId, config, at),
      norm: new BaseLayerNorm(inner.at('ln_f'), hiddenSize, layerNormEps),
      names: { embedding: 'word_embeddings', layers: 'h' },
    });
  }
}

export const FalconRouter = routerOf(FALCON_CONFIG, FlashFalconForCausalLMATB, {
  headNames: HEAD,
  about: {
    kind: 'positions',
    features: ['three packings of q, k and v', 'rotary or ALiBi', 'parallel or sequential steps'],
    reference: 'transformers',
  },
});
registerModel('falcon', FalconRouter);
