import { RotaryAttention } from '../../layers/attention-orders.js';
import {
  biases,
  type ConfigOf,
  defineConfig,
  field,
  fullAttention,
  groupedQueryAttention,
  mlp,
  positive,
  rotaryConfig,
  textModel,
} from '../../layers/config/index.js';
import { PreNormLayer } from '../../layers/decoder-layers.js';
import { UngatedMLP } from '../../layers/mlp.js';
import { BaseLayerNorm } from '../../layers/norms.js';
import { registerModel, routerOf } from '../../router/index.js';
import { plus } from '../../weights/weight-changes.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import { BaseModelATB } from '../base/base-model-atb.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';

/** Defaults of transformers 5.24, NemotronConfig. */
const NEMOTRON_CONFIG = defineConfig({
  fields: {
    ...textModel({ tieWordEmbeddings: false }),
    ...groupedQueryAttention({
      numKeyValueHeads: 'num_attention_heads',
      headDim: 'hidden_size / num_attention_heads',
    }),
    ...mlp({ hiddenAct: 'relu2' }),
    ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: 'mlp_bias' }),
    normEps: field('norm_eps', positive(1), 1e-5),
    rope: rotaryConfig({ theta: 10_000, factor: 0.5 }),
    slidingWindows: fullAttention,
  },
});
type NemotronConfig = ConfigOf<typeof NEMOTRON_CONFIG>;

/** LayerNorm whose weights are stored as distances from one. */
class OffsetLayerNorm extends BaseLayerNorm {
  override readonly weight: TensorRef;

  constructor(weights: Weights, { hiddenSize, normEps }: NemotronConfig) {
    super(weights, hiddenSize, normEps);
    this.weight = plus(weights.get('weight', [hiddenSize]), 1);
  }
}

/** Half of each head turns, and relu squared stands in an MLP without a gate (arXiv:2402.16819, section 2). */
export class FlashNemotronForCausalLMATB extends FlashForCausalLMATB<NemotronConfig> {
  readonly name = 'nemotron';
  protected readonly model: BaseModelATB;

  constructor(config: NemotronConfig, weights: Weights) {
    super(config, weights);
    const inner = weights.at('model');
    this.model = new BaseModelATB(config, inner, {
      layer: (layerId, at) =>
        new PreNormLayer(layerId, at, {
          inputLayernorm: new OffsetLayerNorm(at.at('input_layernorm'), config),
          selfAttn: new RotaryAttention(layerId, config, at.at('self_attn')),
          postAttentionLayernorm: new OffsetLayerNorm(at.at('post_attention_layernorm'), config),
          mlp: new UngatedMLP(config, at.at('mlp')),
        }),
      norm: new OffsetLayerNorm(inner.at('norm'), config),
    });
  }
}

export const NemotronRouter = routerOf(NEMOTRON_CONFIG, FlashNemotronForCausalLMATB, {
  about: {
    kind: 'variant',
    features: ['LayerNorm of 1 + weight', 'partial rotary', 'MLP without a gate', 'relu²'],
    reference: 'transformers',
  },
});
registerModel('nemotron', NemotronRouter);
