import {
  activation,
  defineConfig,
  field,
  flag,
  integer,
  only,
  required,
  text,
  tokenField,
} from '../../layers/config/index.js';
import { aroundText, textWithin } from '../base/text-within.js';
import { besideText, dtypeBesideText, pixtralVision } from '../base/vision/index.js';

const COUNT = integer(1, 10_000);

/** Defaults of transformers 5.24, Mistral3Config and PixtralVisionConfig. */
export const MISTRAL3_CONFIG = aroundText(
  defineConfig({
    fields: {
      text: textWithin('text_config', { model_type: 'mistral' }),
      modelType: field('model_type', text, required),
      dtype: dtypeBesideText,
      tieWordEmbeddings: besideText('tie_word_embeddings', flag, true),
      imageTokenId: tokenField(['image_token_index', 'image_token_id'], 10),
      projectorAct: activation('projector_hidden_act', 'gelu'),
      projectorBias: field('multimodal_projector_bias', flag, false),
      takenLayer: field('vision_feature_layer', only(-1), -1),
      mergeSize: field('spatial_merge_size', COUNT, 2),
      vision: pixtralVision,
    },
  }),
);
export type Mistral3Config = ReturnType<(typeof MISTRAL3_CONFIG)['read']>;
