import { RotaryAttention } from '../../layers/attention/attention-orders.js';
import {
  biases,
  type ConfigOf,
  defineConfig,
  field,
  flag,
  fullAttention,
  mlp,
  multiHeadAttention,
  positive,
  rotaryConfig,
  textModel,
} from '../../layers/config/index.js';
import { ParallelLayer, PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import { UngatedMLP } from '../../layers/mlp/mlp.js';
import { BaseLayerNorm } from '../../layers/norms/norms.js';
import { type HeadNames, registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { BaseModelATB } from '../base/base-model-atb.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';

const attentionBias = field('attention_bias', flag, true);

/** Defaults of transformers 5.24, GPTNeoXConfig. */
const GPT_NEOX_CONFIG = defineConfig({
  fields: {
    ...textModel({ tieWordEmbeddings: false }),
    ...multiHeadAttention,
    ...mlp({ hiddenAct: 'gelu' }),
    layerNormEps: field('layer_norm_eps', positive(1), 1e-5),
    ...biases({ qkv: attentionBias, dense: attentionBias, mlp: true }),
    rope: rotaryConfig({
      theta: 10_000,
      thetaNames: ['rotary_emb_base', 'rope_theta'],
      factor: 0.25,
      factorNames: ['rotary_pct', 'partial_rotary_factor'],
    }),
    slidingWindows: fullAttention,
    isParallel: field('use_parallel_residual', flag, true),
  },
});
const HEAD: HeadNames = { embedding: 'gpt_neox.embed_in', head: 'embed_out' };
type GptNeoXConfig = ConfigOf<typeof GPT_NEOX_CONFIG>;

/** Attention and MLP read the same residual, each through a norm of its own (arXiv:2204.06745, section 2.1). */
export class FlashGptNeoXForCausalLMATB extends FlashForCausalLMATB<GptNeoXConfig> {
  readonly name = 'gpt_neox';
  protected readonly model: BaseModelATB;

  constructor(config: GptNeoXConfig, weights: Weights) {
    super(config, weights, { names: HEAD });
    const norm = (at: Weights) => new BaseLayerNorm(at, config.hiddenSize, config.layerNormEps);
    const inner = weights.at('gpt_neox');
    const Layer = config.isParallel ? ParallelLayer : PreNormLayer;
    this.model = new BaseModelATB(config, inner, {
      layer: (layerId, at) =>
        new Layer(layerId, at, {
          inputLayernorm: norm(at.at('input_layernorm')),
          selfAttn: new RotaryAttention(layerId, config, at.at('attention'), {
            qkv: { packed: 'query_key_value', order: 'groups' },
            dense: 'dense',
          }),
          postAttentionLayernorm: norm(at.at('post_attention_layernorm')),
          mlp: new UngatedMLP(config, at.at('mlp'), {
            names: { up: 'dense_h_to_4h', down: 'dense_4h_to_h' },
          }),
        }),
      norm: norm(inner.at('final_layer_norm')),
      names: { embedding: 'embed_in', layers: 'layers' },
    });
  }
}

// Causal masks, which older files hold.
export const GptNeoXRouter = routerOf(GPT_NEOX_CONFIG, FlashGptNeoXForCausalLMATB, {
  headNames: HEAD,
  harmlessTensors: [/\.attention\.(masked_)?bias$/],
  about: {
    kind: 'positions',
    features: ['packing head by head', 'partial rotary', 'parallel or sequential steps'],
    reference: 'transformers',
  },
});
registerModel('gpt_neox', GptNeoXRouter);
