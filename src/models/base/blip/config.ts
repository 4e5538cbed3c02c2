import {
  activation,
  encoderHeads,
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
} from '../../../layers/config/index.js';
import { dtypeBesideText, sideOfSquare } from '../vision/index.js';

const COUNT = integer(1, 10_000);

/** What all of the family have beside text and queries. Defaults of transformers 5.24, Blip2Config and InstructBlipConfig. */
export const blipFields = (kind: string) => ({
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
      kind: field('model_type', only(kind), kind),
    },
    ['projection_dim', 'initializer_factor'],
  ),
});

/** Of OPTConfig in transformers 5.24, from which files of text of that kind differ. */
export const OPT_125M = {
  model_type: 'opt',
  vocab_size: 50_272,
  hidden_size: 768,
  num_hidden_layers: 12,
  ffn_dim: 3072,
  num_attention_heads: 12,
} as const;

/** Keys that change nothing in any of them. */
export const BLIP_IRRELEVANT: Readonly<Record<string, string>> = {
  ...keysBecause('is of training', 'initializer_factor'),
  image_text_hidden_size: 'is of models that find pictures for texts',
  tie_word_embeddings: 'is read of text_config',
  is_encoder_decoder: 'follows from the kind of text',
};
