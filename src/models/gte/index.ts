import { RotaryAttention } from '../../layers/attention/attention-orders.js';
import {
  type ConfigOf,
  constant,
  defineConfig,
  ENCODER_IRRELEVANT,
  encoder,
  type Field,
  field,
  flag,
  integer,
  only,
  positive,
  required,
  rotaryConfig,
} from '../../layers/config/index.js';
import { PostNormLayer } from '../../layers/decoder/decoder-layers.js';
import { TokenTypes } from '../../layers/decoder/learned-positions.js';
import { classifierOf } from '../../layers/heads/row-heads.js';
import { BaseMLP } from '../../layers/mlp/mlp.js';
import { BaseLayerNorm } from '../../layers/norms/norms.js';
import { registerModel, routerOf } from '../../router/index.js';
import { headRows, lengths, type RopeConfig, rotary, tokenIds, tokenTypes } from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import { HARMLESS_IN_ENCODERS } from '../base/bert-parts.js';
import { EncoderModelATB, TextEncoderATB } from '../base/text-encoder-atb.js';

type Sizes = { readonly headDim: number; readonly maxPositionEmbeddings: number };

/**
 * `rope_scaling` of type "ntk", as the remote code of Alibaba-NLP/new-impl has it: the base is multiplied by the factor,
 * and the frequencies are divided by factor^(2 / headDim), whatever the length. Everything else as in other families.
 */
const ntkRotary = (theta: number): Field<RopeConfig, Sizes> => ({
  read(json, sizes) {
    const section = json.section('rope_scaling');
    if (section?.dict.type !== 'ntk') return rotaryConfig({ theta }).read(json, sizes);
    section.raw('type');
    field('mixed_b', only('null'), undefined).read(section, {});
    const factor = field('factor', positive(1000), required).read(section, {});
    const base = field('rope_theta', positive(1e12), theta).read(json, {});
    const { headDim, maxPositionEmbeddings } = sizes;
    return {
      headDim,
      rotaryDim: headDim,
      interleaved: false,
      maxPositionEmbeddings,
      theta: base * factor,
      scaling: { type: 'linear', factor: factor ** (2 / headDim) },
    };
  },
});

/** Defaults of transformers 5.24, GteConfig, or of the remote code, which differ in the base of the frequencies alone. */
const gteConfig = (theta: number) =>
  defineConfig({
    fields: {
      ...encoder({ typeVocabSize: 1, padTokenId: 1, biases: { qkv: true, dense: true, mlp: false } }),
      downBias: constant(true),
      maxPositionEmbeddings: field('max_position_embeddings', integer(1, 2 ** 24), 8192),
      rope: ntkRotary(theta),
      positionKind: field('position_embedding_type', only('rope'), 'rope'),
      packsQkv: field('pack_qkv', only(true), true),
      normType: field('layer_norm_type', only('layer_norm'), 'layer_norm'),
      scalesByLength: field('logn_attention_scale', only(false), false),
      clipsScale: field('logn_attention_clip1', flag, false),
    },
    irrelevant: {
      ...ENCODER_IRRELEVANT,
      unpad_inputs: 'tokens are always packed',
      use_memory_efficient_attention: 'names a kernel of another program',
    },
  });
const GTE_CONFIG = gteConfig(160_000);
type GteConfig = ConfigOf<typeof GTE_CONFIG>;

/** BERT with rotary positions and gated MLPs (arXiv:2407.19669, section 2). */
export class FlashGteModelATB extends TextEncoderATB<GteConfig> {
  constructor(config: GteConfig, weights: Weights) {
    const { hiddenSize, typeVocabSize: count, layerNormEps } = config;
    // The remote code calls the model `new`.
    const root = weights.has('new.embeddings.word_embeddings.weight') ? 'new' : 'gte';
    const inner = weights.at(root);
    const embeddings = inner.at('embeddings');
    const norm = (at: Weights) => new BaseLayerNorm(at, hiddenSize, layerNormEps);
    super({
      name: 'gte',
      config,
      stepInputs: [tokenIds, rotary(config.rope), tokenTypes, lengths, headRows],
      body: new EncoderModelATB(config, inner, {
        names: { embedding: 'embeddings.word_embeddings', layers: 'encoder.layer' },
        added:
          count === 0 ? [] : [new TokenTypes(embeddings.at('token_type_embeddings'), { count, hiddenSize })],
        norm: norm(embeddings.at('LayerNorm')),
        layer: (layerId, at) =>
          new PostNormLayer(layerId, at, {
            selfAttn: new RotaryAttention(layerId, config, at.at('attention'), {
              qkv: { packed: 'qkv_proj', order: 'blocks' },
            }),
            inputLayernorm: norm(at.at('attn_ln')),
            mlp: new BaseMLP(config, at.at('mlp'), {
              names: { upGate: 'up_gate_proj', down: 'down_proj' },
            }),
            postAttentionLayernorm: norm(at.at('mlp_ln')),
          }),
      }),
      head: classifierOf(weights, config, { dense: `${root}.pooler.dense`, out: 'classifier' }),
    });
  }
}

const FEATURES = ['BERT with rotary positions and gated MLPs'];
export const GteRouter = routerOf(GTE_CONFIG, FlashGteModelATB, {
  harmlessTensors: HARMLESS_IN_ENCODERS,
  about: { kind: 'encoder', features: FEATURES, reference: 'transformers' },
});
registerModel('gte', GteRouter);
/** What the remote code calls itself. */
export const NewRouter = routerOf(gteConfig(10_000), FlashGteModelATB, {
  harmlessTensors: HARMLESS_IN_ENCODERS,
  about: { kind: 'encoder', features: FEATURES, reference: 'transformers, as gte' },
});
registerModel('new', NewRouter);
