import { PositionFreeAttention } from '../../layers/attention-orders.js';
import {
  activation,
  type ConfigOf,
  defineConfig,
  type Field,
  field,
  flag,
  fullAttention,
  groupedQueryAttention,
  integer,
  learnedPositions,
  only,
  required,
  textModel,
} from '../../layers/config/index.js';
import { PreNormLayer } from '../../layers/decoder-layers.js';
import { UngatedMLP } from '../../layers/mlp.js';
import { BaseLayerNorm } from '../../layers/norms.js';
import { type HeadNames, registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';
import { LearnedPositionModelATB } from '../base/learned-position-model-atb.js';

/** OPT's own: config.json says nothing of it. */
const LAYER_NORM_EPS = 1e-5;

/** The embedding's width, which must be that of the layers: nothing is projected between them. */
const embeddingWidth: Field<number, { readonly hiddenSize: number }> = {
  read(json, { hiddenSize }) {
    return field('word_embed_proj_dim', only(hiddenSize), hiddenSize).read(json, {});
  },
};

/** Defaults of transformers 5.24, OPTConfig. Of its variants, OPT-350m's norms after each step are not built. */
const OPT_CONFIG = defineConfig({
  fields: {
    ...textModel({ tieWordEmbeddings: true }),
    maxPositionEmbeddings: field('max_position_embeddings', integer(1, 2 ** 24), 2048),
    learnedPositions,
    ...groupedQueryAttention({
      numKeyValueHeads: 'num_attention_heads',
      headDim: 'hidden_size / num_attention_heads',
    }),
    intermediateSize: field('ffn_dim', integer(1, 2 ** 24), required),
    hiddenAct: activation('activation_function', 'relu'),
    qkvBias: field('enable_bias', flag, true),
    denseBias: field('enable_bias', flag, true),
    mlpBias: field('enable_bias', flag, true),
    slidingWindows: fullAttention,
    embeddingWidth,
    normsBefore: field('do_layer_norm_before', only(true), true),
    lacksFinalNorm: field('_remove_final_layer_norm', only(false), false),
    hasNormWeights: field('layer_norm_elementwise_affine', only(true), true),
  },
});
const HEAD: HeadNames = { embedding: 'model.decoder.embed_tokens', head: 'lm_head' };
type OptConfig = ConfigOf<typeof OPT_CONFIG>;

/** A decoder with learned positions, of which two stand before the first (arXiv:2205.01068, section 2). */
export class FlashOptForCausalLMATB extends FlashForCausalLMATB<OptConfig> {
  readonly name = 'opt';
  protected readonly model: LearnedPositionModelATB;

  constructor(config: OptConfig, weights: Weights) {
    super(config, weights, { names: HEAD });
    const norm = (at: Weights) => new BaseLayerNorm(at, config.hiddenSize, LAYER_NORM_EPS, { hasBias: true });
    const inner = weights.at('model').at('decoder');
    this.model = new LearnedPositionModelATB(config, inner, {
      layer: (layerId, at) =>
        new PreNormLayer(layerId, at, {
          inputLayernorm: norm(at.at('self_attn_layer_norm')),
          selfAttn: new PositionFreeAttention(layerId, config, at.at('self_attn'), { dense: 'out_proj' }),
          postAttentionLayernorm: norm(at.at('final_layer_norm')),
          mlp: new UngatedMLP(config, at, { names: { up: 'fc1', down: 'fc2' } }),
        }),
      norm: norm(inner.at('final_layer_norm')),
      positions: { name: 'embed_positions', firstRow: 2 },
    });
  }
}

// The rows of padding, before that of position 0.
const harmlessTensors = [/\.embed_positions\.weight$/];

export const OptRouter = routerOf(OPT_CONFIG, FlashOptForCausalLMATB, {
  headNames: HEAD,
  harmlessTensors,
  about: {
    kind: 'positions',
    features: ['learned positions', 'MLP without a gate'],
    reference: 'transformers',
  },
});
registerModel('opt', OptRouter);
