import {
  activation,
  defineConfig,
  encoderHeads,
  type Field,
  field,
  flag,
  integer,
  keysBecause,
  nested,
  only,
  positive,
  required,
  text,
  tokenField,
  WIDTH,
} from '../../layers/config/index.js';
import { Q_FORMER, Q_FORMER_PASSED, Q_FORMER_SIZES, type QFormerConfig } from '../base/q-former.js';
import { aroundText, type TextWithin, textWithin } from '../base/text-within.js';
import { dtypeBesideText, sideOfSquare } from '../base/vision/index.js';

const COUNT = integer(1, 10_000);

/** Of OPTConfig in transformers 5.24, from which files of text of that kind differ. */
const OPT = {
  model_type: 'opt',
  vocab_size: 50_272,
  hidden_size: 768,
  num_hidden_layers: 12,
  ffn_dim: 3072,
  num_attention_heads: 12,
} as const;

/** Text of T5, of two halves, is not built. */
const optText: Field<TextWithin> = {
  read(json) {
    json.section('text_config')?.value('model_type', only('opt'));
    return textWithin('text_config', OPT).read(json, {});
  },
};

/** What queries look at is as wide as the encoder's rows, whatever the file says. */
const qFormer: Field<QFormerConfig, { readonly vision: { readonly hiddenSize: number } }> = {
  read(json, { vision }) {
    const { hiddenSize, numHeads } = Q_FORMER_SIZES;
    const passed = [...Q_FORMER_PASSED, 'encoder_hidden_size', 'classifier_dropout'];
    const found = nested('qformer_config', { ...Q_FORMER, hiddenSize, numHeads }, passed).read(json, {});
    return { ...found, seenSize: vision.hiddenSize };
  },
};

/** Defaults of transformers 5.24, Blip2Config, Blip2VisionConfig and Blip2QFormerConfig. */
export const BLIP_2_CONFIG = aroundText(
  defineConfig({
    fields: {
      text: optText,
      modelType: field('model_type', text, required),
      dtype: dtypeBesideText,
      imageTokenId: tokenField(['image_token_index', 'image_token_id'], undefined),
      queries: field('num_query_tokens', COUNT, 32),
      writesAlone: field('use_decoder_only_language_model', only(true), true),
      vision: nested(
        'vision_config',
        {
          hiddenSize: field('hidden_size', WIDTH, 1408),
          intermediateSize: field('intermediate_size', WIDTH, 6144),
          numLayers: field('num_hidden_layers', COUNT, 39),
          numHeads: encoderHeads('num_attention_heads', 16),
          imageSize: sideOfSquare('image_size', 224),
          patchSize: sideOfSquare('patch_size', 14),
          channels: field('num_channels', only(3), 3),
          hiddenAct: activation('hidden_act', 'gelu'),
          layerNormEps: field('layer_norm_eps', positive(1), 1e-6),
          qkvBias: field('qkv_bias', flag, true),
          kind: field('model_type', only('blip_2_vision_model'), 'blip_2_vision_model'),
        },
        ['projection_dim', 'initializer_factor'],
      ),
      qFormer,
    },
    irrelevant: {
      ...keysBecause('is of training', 'initializer_factor'),
      image_text_hidden_size: 'is of models that find pictures for texts',
      is_encoder_decoder: 'follows from the kind of text',
    },
  }),
);
export type Blip2Config = ReturnType<(typeof BLIP_2_CONFIG)['read']>;
