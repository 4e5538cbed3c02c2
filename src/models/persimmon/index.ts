import { NormedRotaryAttention, projectionNorms } from '../../layers/attention/attention-orders.js';
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
import { PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import { UngatedMLP } from '../../layers/mlp/mlp.js';
import { BaseLayerNorm, HeadNorm, LayerNormOfHead } from '../../layers/norms/norms.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { BaseModelATB } from '../base/base-model-atb.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';

/** Defaults of transformers 5.24, PersimmonConfig. */
const PERSIMMON_CONFIG = defineConfig({
  fields: {
    ...textModel({ tieWordEmbeddings: false }),
    ...multiHeadAttention,
    ...mlp({ hiddenAct: 'relu2' }),
    ...biases({ qkv: true, dense: true, mlp: true }),
    layerNormEps: field('layer_norm_eps', positive(1), 1e-5),
    hasQkNorm: field('qk_layernorm', flag, true),
    rope: rotaryConfig({ theta: 10_000, factor: 0.5 }),
    slidingWindows: fullAttention,
  },
});
type PersimmonConfig = ConfigOf<typeof PERSIMMON_CONFIG>;

/** Adept's Persimmon: norms of queries and keys that all heads share, a part of each head turned, squared ReLU. */
export class FlashPersimmonForCausalLMATB extends FlashForCausalLMATB<PersimmonConfig> {
  readonly name = 'persimmon';
  protected readonly model: BaseModelATB;

  constructor(config: PersimmonConfig, weights: Weights) {
    super(config, weights);
    const { hiddenSize, headDim, layerNormEps, rope, hasQkNorm } = config;
    const norm = (at: Weights) => new BaseLayerNorm(at, hiddenSize, layerNormEps);
    const inner = weights.at('model');
    this.model = new BaseModelATB(config, inner, {
      layer: (layerId, at) => {
        const attention = at.at('self_attn');
        const headNorms = () =>
          projectionNorms(config, (of, heads) => {
            const sizes = { heads, headDim, rope };
            return new HeadNorm(attention.at(`${of}_layernorm`), sizes, layerNormEps, LayerNormOfHead);
          });
        return new PreNormLayer(layerId, at, {
          inputLayernorm: norm(at.at('input_layernorm')),
          selfAttn: new NormedRotaryAttention(
            layerId,
            config,
            attention,
            hasQkNorm ? headNorms() : undefined,
            {
              qkv: { packed: 'query_key_value', order: 'groups' },
              dense: 'dense',
            },
          ),
          postAttentionLayernorm: norm(at.at('post_attention_layernorm')),
          mlp: new UngatedMLP(config, at.at('mlp'), {
            names: { up: 'dense_h_to_4h', down: 'dense_4h_to_h' },
          }),
        });
      },
      norm: norm(inner.at('final_layernorm')),
    });
  }
}

export const PersimmonRouter = routerOf(PERSIMMON_CONFIG, FlashPersimmonForCausalLMATB, {
  about: {
    kind: 'positions',
    features: ['packing head by head', 'partial rotary', 'norms of q and k', 'relu2'],
    reference: 'transformers',
  },
});
registerModel('persimmon', PersimmonRouter);
