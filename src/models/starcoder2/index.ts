import { RotaryAttention } from '../../layers/attention/attention-orders.js';
import {
  biases,
  type ConfigOf,
  defineConfig,
  field,
  flag,
  groupedQueryAttention,
  keysBecause,
  mlp,
  only,
  positive,
  rotaryConfig,
  slidingEverywhere,
  textModel,
} from '../../layers/config/index.js';
import { PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import { UngatedMLP } from '../../layers/mlp/mlp.js';
import { BaseLayerNorm } from '../../layers/norms/norms.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { BaseModelATB } from '../base/base-model-atb.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';

const useBias = field('use_bias', flag, true);

/** Defaults of transformers 5.24, Starcoder2Config. */
const STARCODER2_CONFIG = defineConfig({
  fields: {
    ...textModel({ tieWordEmbeddings: true }),
    ...groupedQueryAttention({ numKeyValueHeads: 2, headDim: 'hidden_size / num_attention_heads' }),
    ...mlp({ hiddenAct: 'gelu_tanh' }),
    ...biases({ qkv: useBias, dense: useBias, mlp: useBias }),
    normEpsilon: field('norm_epsilon', positive(1), 1e-5),
    rope: rotaryConfig({ theta: 10_000 }),
    slidingWindows: slidingEverywhere({ window: undefined }),
    mlpType: field('mlp_type', only('default'), 'default'),
    normType: field('norm_type', only('layer_norm'), 'layer_norm'),
  },
  irrelevant: {
    activation_function: 'Starcoder2MLP reads hidden_act',
    ...keysBecause(
      'is no epsilon of its LayerNorms, which is norm_epsilon',
      'layer_norm_epsilon',
      'rms_norm_eps',
    ),
  },
});
type Starcoder2Config = ConfigOf<typeof STARCODER2_CONFIG>;

/** LayerNorm, an MLP without a gate, biases everywhere, a window in every layer (arXiv:2402.19173). */
export class FlashStarcoder2ForCausalLMATB extends FlashForCausalLMATB<Starcoder2Config> {
  readonly name = 'starcoder2';
  protected readonly model: BaseModelATB;

  constructor(config: Starcoder2Config, weights: Weights) {
    super(config, weights);
    const norm = (at: Weights) => new BaseLayerNorm(at, config.hiddenSize, config.normEpsilon);
    const inner = weights.at('model');
    this.model = new BaseModelATB(config, inner, {
      layer: (layerId, at) =>
        new PreNormLayer(layerId, at, {
          inputLayernorm: norm(at.at('input_layernorm')),
          selfAttn: new RotaryAttention(layerId, config, at.at('self_attn')),
          postAttentionLayernorm: norm(at.at('post_attention_layernorm')),
          mlp: new UngatedMLP(config, at.at('mlp'), { names: { up: 'c_fc', down: 'c_proj' } }),
        }),
      norm: norm(inner.at('norm')),
    });
  }
}

export const Starcoder2Router = routerOf(STARCODER2_CONFIG, FlashStarcoder2ForCausalLMATB, {
  about: {
    kind: 'variant',
    features: ['LayerNorm', 'MLP without a gate', 'a window in every layer'],
    reference: 'transformers',
  },
});
registerModel('starcoder2', Starcoder2Router);
