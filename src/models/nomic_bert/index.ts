import { RotaryAttention } from '../../layers/attention/attention-orders.js';
import {
  activation,
  bothSpellings,
  type ConfigOf,
  defineConfig,
  ENCODER_IRRELEVANT,
  encoder,
  type Field,
  field,
  keysBecause,
  LENGTH,
  only,
  positive,
  required,
  rotaryConfig,
  WIDTH,
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

/** Beyond the length of training the base grows where `rotary_scaling_factor` says so, as with "dynamic" elsewhere. */
const rope: Field<RopeConfig, Sizes> = {
  read(json, sizes) {
    const plain = rotaryConfig({ theta: 1000, thetaNames: ['rope_theta', 'rotary_emb_base'] }).read(
      json,
      sizes,
    );
    const factor = field('rotary_scaling_factor', positive(1000), undefined).read(json, {});
    const trained = field('max_trained_positions', LENGTH, 2048).read(json, {});
    if (factor === undefined) return plain;
    return { ...plain, maxPositionEmbeddings: trained, scaling: { type: 'dynamic', factor } };
  },
};

/** `n_positions` is what the remote code goes by; some of its files say the length of training beside it. */
const maxPositionEmbeddings: Field<number> = {
  read(json) {
    const length = json.value('max_position_embeddings', LENGTH);
    return json.value('n_positions', LENGTH) ?? length ?? 2048;
  },
};

/** What is not built. */
const never = (name: string) => field(name, only(false), false);

/** Defaults of transformers 5.24, NomicBertConfig, which those of the published files' own code agree with. */
const NOMIC_CONFIG = defineConfig({
  fields: {
    ...encoder({
      typeVocabSize: 2,
      padTokenId: 0,
      biases: { qkv: never('qkv_proj_bias'), dense: false, mlp: never('mlp_fc1_bias') },
    }),
    ...bothSpellings,
    downBias: never('mlp_fc2_bias'),
    maxPositionEmbeddings,
    intermediateSize: field(['intermediate_size', 'n_inner'], WIDTH, required),
    hiddenAct: activation('hidden_act', 'silu'),
    gatedBy: field('activation_function', only('swiglu'), 'swiglu'),
    layerNormEps: field(['layer_norm_eps', 'layer_norm_epsilon'], positive(1), 1e-12),
    rope,
    rotaryShare: field('rotary_emb_fraction', only(1), 1),
    isInterleaved: never('rotary_emb_interleaved'),
    normsBefore: never('prenorm'),
    isParallel: never('parallel_block'),
    hasRmsNorm: never('use_rms_norm'),
    seesPast: never('causal'),
  },
  irrelevant: {
    ...ENCODER_IRRELEVANT,
    ...keysBecause(
      'says which kernel another program takes',
      ...[
        'dense_seq_output',
        'fused_bias_fc',
        'fused_dropout_add_ln',
        'reorder_and_upcast_attn',
        'use_xentropy',
      ],
    ),
    ...keysBecause('belongs to a layer of another kind', 'parallel_block_tied_norm', 'scale_attn_weights'),
    pad_vocab_size_multiple: 'vocab_size is padded already',
  },
});
type NomicConfig = ConfigOf<typeof NOMIC_CONFIG>;

/** BERT with rotary positions and gated MLPs without biases (arXiv:2402.01613, section 3.1). */
export class FlashNomicBertModelATB extends TextEncoderATB<NomicConfig> {
  constructor(config: NomicConfig, weights: Weights) {
    const { hiddenSize, typeVocabSize: count, layerNormEps } = config;
    const inner = weights.at('nomic_bert');
    const types = inner.at('embeddings').at('token_type_embeddings');
    const norm = (at: Weights) => new BaseLayerNorm(at, hiddenSize, layerNormEps);
    super({
      name: 'nomic_bert',
      config,
      stepInputs: [tokenIds, rotary(config.rope), tokenTypes, lengths, headRows],
      body: new EncoderModelATB(config, inner, {
        names: { embedding: 'embeddings.word_embeddings', layers: 'encoder.layers' },
        added: count === 0 ? [] : [new TokenTypes(types, { count, hiddenSize })],
        norm: norm(inner.at('emb_ln')),
        layer: (layerId, at) =>
          new PostNormLayer(layerId, at, {
            selfAttn: new RotaryAttention(layerId, config, at.at('attn'), {
              qkv: { packed: 'Wqkv', order: 'blocks' },
              dense: 'out_proj',
            }),
            inputLayernorm: norm(at.at('norm1')),
            mlp: new BaseMLP(config, at.at('mlp'), { names: { gate: 'fc12', up: 'fc11', down: 'fc2' } }),
            postAttentionLayernorm: norm(at.at('norm2')),
          }),
      }),
      head: classifierOf(weights, config, { dense: 'nomic_bert.pooler.dense', out: 'classifier' }),
    });
  }
}

export const NomicBertRouter = routerOf(NOMIC_CONFIG, FlashNomicBertModelATB, {
  harmlessTensors: HARMLESS_IN_ENCODERS,
  about: {
    kind: 'encoder',
    features: ['BERT with rotary positions and gated MLPs without biases'],
    reference: 'transformers',
  },
});
registerModel('nomic_bert', NomicBertRouter);
