import {
  activation,
  defineConfig,
  encoderHeads,
  type Field,
  field,
  flag,
  integer,
  nested,
  only,
  positive,
  required,
  text,
  tokenField,
  WIDTH,
} from '../../layers/config/index.js';
import { aroundText, textWithin } from '../base/text-within.js';
import { axialTheta, besideText, dtypeBesideText } from '../base/vision/index.js';

const COUNT = integer(1, 10_000);

/** The base of positions of two axes: files before transformers 5 have it beside the others. */
const theta: Field<number> = {
  read: (json) => json.value('rope_theta', positive(1e12)) ?? axialTheta.read(json, {}),
};

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
      vision: nested(
        'vision_config',
        {
          hiddenSize: field('hidden_size', WIDTH, 1024),
          intermediateSize: field('intermediate_size', WIDTH, 4096),
          numLayers: field('num_hidden_layers', COUNT, 24),
          numHeads: encoderHeads('num_attention_heads', 16, { multiple: 4 }),
          patchSize: field('patch_size', COUNT, 16),
          channels: field('num_channels', only(3), 3),
          hiddenAct: activation('hidden_act', 'gelu'),
          kind: field('model_type', only('pixtral'), 'pixtral'),
          theta,
        },
        ['head_dim', 'image_size', 'vocab_size'],
      ),
    },
  }),
);
export type Mistral3Config = ReturnType<(typeof MISTRAL3_CONFIG)['read']>;
