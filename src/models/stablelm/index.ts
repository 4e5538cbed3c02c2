import {
  NormedRotaryAttention,
  type ProjectionNorms,
  projectionNorms,
} from '../../layers/attention/attention-orders.js';
import {
  biases,
  type ConfigOf,
  defineConfig,
  field,
  flag,
  fullAttention,
  groupedQueryAttention,
  mlp,
  positive,
  rotaryConfig,
  textModel,
} from '../../layers/config/index.js';
import type { BaseLayer } from '../../layers/decoder/base-layer.js';
import { ParallelLayer, PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import { BaseMLP } from '../../layers/mlp/mlp.js';
import { BaseLayerNorm, PerHeadLayerNorm } from '../../layers/norms/norms.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { BaseModelATB } from '../base/base-model-atb.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';

/** Defaults of transformers 5.24, StableLmConfig. */
const STABLELM_CONFIG = defineConfig({
  fields: {
    ...textModel({ tieWordEmbeddings: false }),
    ...groupedQueryAttention({ numKeyValueHeads: 32, headDim: 'hidden_size / num_attention_heads' }),
    ...mlp({ hiddenAct: 'silu' }),
    ...biases({ qkv: 'use_qkv_bias', dense: false, mlp: false }),
    layerNormEps: field('layer_norm_eps', positive(1), 1e-5),
    rope: rotaryConfig({ theta: 10_000, factor: 0.25 }),
    slidingWindows: fullAttention,
    qkLayernorm: field('qk_layernorm', flag, false),
    useParallelResidual: field('use_parallel_residual', flag, false),
  },
});
type StableLmConfig = ConfigOf<typeof STABLELM_CONFIG>;

/** The norms of queries and keys, one for each head. */
const normsOf = (config: StableLmConfig, weights: Weights): ProjectionNorms =>
  projectionNorms(config, (of, heads) => {
    const at = weights.at(`${of}_layernorm`);
    const ofHead = (head: number) => at.at('norms').at(head).get('weight', [config.headDim]);
    return new PerHeadLayerNorm(at, { ...config, heads }, config.layerNormEps, ofHead);
  });

/** LayerNorm, a quarter of each head that turns, layers sequential or parallel (arXiv:2402.17834). */
export class FlashStableLmForCausalLMATB extends FlashForCausalLMATB<StableLmConfig> {
  readonly name = 'stablelm';
  protected readonly model: BaseModelATB;

  constructor(config: StableLmConfig, weights: Weights) {
    super(config, weights);
    const norm = (at: Weights) => new BaseLayerNorm(at, config.hiddenSize, config.layerNormEps);
    const layer = (layerId: number, at: Weights): BaseLayer => {
      const inputLayernorm = norm(at.at('input_layernorm'));
      const own = at.at('self_attn');
      const norms = config.qkLayernorm ? normsOf(config, own) : undefined;
      const selfAttn = new NormedRotaryAttention(layerId, config, own, norms);
      const parts = { inputLayernorm, selfAttn, mlp: new BaseMLP(config, at.at('mlp')) };
      if (config.useParallelResidual) return new ParallelLayer(layerId, at, parts);
      const postAttentionLayernorm = norm(at.at('post_attention_layernorm'));
      return new PreNormLayer(layerId, at, { ...parts, postAttentionLayernorm });
    };
    const inner = weights.at('model');
    this.model = new BaseModelATB(config, inner, { layer, norm: norm(inner.at('norm')) });
  }
}

export const StableLmRouter = routerOf(STABLELM_CONFIG, FlashStableLmForCausalLMATB, {
  about: {
    kind: 'variant',
    features: ['LayerNorm', 'partial rotary', 'parallel or sequential steps'],
    reference: 'transformers',
  },
});
registerModel('stablelm', StableLmRouter);
