import {
  NormedRotaryAttention,
  type ProjectionNorms,
  projectionNorms,
} from '../../layers/attention/attention-orders.js';
import {
  biases,
  type ConfigOf,
  defineConfig,
  type Field,
  field,
  flag,
  fullAttention,
  groupedQueryAttention,
  LLAMA_DEFAULTS,
  mlp,
  only,
  positive,
  rotaryConfig,
  textModel,
} from '../../layers/config/index.js';
import { ParallelLayer } from '../../layers/decoder/decoder-layers.js';
import { UngatedMLP } from '../../layers/mlp/mlp.js';
import { BaseLayerNorm, HeadNorm, LayerNormOfHead } from '../../layers/norms/norms.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { RopeConfig } from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import { BaseModelATB } from '../base/base-model-atb.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';

/** How many elements of a head turn, which older files say beside the share of it that does. */
const rotaryDim: Field<number, { readonly rope: RopeConfig }> = {
  read: (json, { rope }) => field('rotary_dim', only(rope.rotaryDim), rope.rotaryDim).read(json, {}),
};

/** Defaults of transformers 5.24, PhiConfig. */
const PHI_CONFIG = defineConfig({
  fields: {
    ...textModel({ tieWordEmbeddings: false }),
    // The head has a bias of its own, and so is never the embedding.
    tieWordEmbeddings: field('tie_word_embeddings', only(false), false),
    ...groupedQueryAttention(LLAMA_DEFAULTS),
    ...mlp({ hiddenAct: 'gelu_tanh' }),
    ...biases({ qkv: true, dense: true, mlp: true }),
    layerNormEps: field('layer_norm_eps', positive(1), 1e-5),
    rope: rotaryConfig({ theta: 10_000, factor: 0.5 }),
    rotaryDim,
    slidingWindows: fullAttention,
    normsHeads: field('qk_layernorm', flag, false),
  },
});
type PhiConfig = ConfigOf<typeof PHI_CONFIG>;

/** The norms of queries and keys, one for all heads. */
const normsOf = (config: PhiConfig, weights: Weights): ProjectionNorms =>
  projectionNorms(config, (of, heads) => {
    const at = weights.at(`${of}_layernorm`);
    return new HeadNorm(at, { ...config, heads }, config.layerNormEps, LayerNormOfHead);
  });

/** Attention and MLP read the same normed input; the head has a bias (arXiv:2309.05463, section 2.2). */
export class FlashPhiForCausalLMATB extends FlashForCausalLMATB<PhiConfig> {
  readonly name = 'phi';
  protected readonly model: BaseModelATB;

  constructor(config: PhiConfig, weights: Weights) {
    super(config, weights, { hasBias: true });
    const norm = (at: Weights) => new BaseLayerNorm(at, config.hiddenSize, config.layerNormEps);
    const inner = weights.at('model');
    this.model = new BaseModelATB(config, inner, {
      layer(layerId, at) {
        const own = at.at('self_attn');
        const norms = config.normsHeads ? normsOf(config, own) : undefined;
        return new ParallelLayer(layerId, at, {
          inputLayernorm: norm(at.at('input_layernorm')),
          selfAttn: new NormedRotaryAttention(layerId, config, own, norms, { dense: 'dense' }),
          mlp: new UngatedMLP(config, at.at('mlp'), { names: { up: 'fc1', down: 'fc2' } }),
        });
      },
      norm: norm(inner.at('final_layernorm')),
    });
  }
}

export const PhiRouter = routerOf(PHI_CONFIG, FlashPhiForCausalLMATB, {
  about: {
    kind: 'positions',
    features: ['parallel steps', 'partial rotary', 'MLP without a gate'],
    reference: 'transformers',
  },
});
registerModel('phi', PhiRouter);
