import {
  defineConfig,
  field,
  flag,
  integer,
  keysBecause,
  nested,
  only,
  required,
  text,
  tokenField,
  WIDTH,
} from '../../layers/config/index.js';
import { aroundText, textWithin } from '../base/text-within.js';
import { dtypeBesideText, siglipFields } from '../base/vision/index.js';

/** Pictures of all sizes have positions. */
const { imageSize: _, ...SIGLIP } = siglipFields({ kinds: ['siglip2_vision_model'] });

/** Defaults of transformers 5.24, Lfm2VlConfig and Siglip2VisionConfig. */
export const LFM2_VL_CONFIG = aroundText(
  defineConfig({
    fields: {
      text: textWithin('text_config', { model_type: 'lfm2' }),
      modelType: field('model_type', text, required),
      dtype: dtypeBesideText,
      tieWordEmbeddings: field(['tie_embedding', 'tie_word_embeddings'], flag, true),
      imageTokenId: tokenField(['image_token_id', 'image_token_index'], 396),
      mergeSize: field('downsample_factor', integer(1, 100), 2),
      projectorAct: field('projector_hidden_act', only('gelu'), 'gelu'),
      projectorSize: field('projector_hidden_size', WIDTH, 2560),
      projectorBias: field('projector_bias', only(true), true),
      hasProjectorNorm: field('projector_use_layernorm', flag, true),
      takenLayer: field('vision_feature_layer', only(-1), -1),
      marksPictures: field('use_image_special_tokens', only(true), true),
      vision: nested(
        'vision_config',
        {
          ...SIGLIP,
          /** Of a square of learned positions, all of them. */
          positions: field('num_patches', integer(1, 1_000_000), 256),
        },
        // Its head makes one vector of a picture.
        ['vision_use_head'],
      ),
    },
    irrelevant: keysBecause(
      "is the processor's, whose own file says it",
      ...['do_image_splitting', 'encoder_patch_size', 'max_image_tokens', 'max_num_patches'],
      ...['max_pixels_tolerance', 'max_tiles', 'min_image_tokens', 'min_tiles', 'tile_size', 'use_thumbnail'],
    ),
  }),
);
export type Lfm2VlConfig = ReturnType<(typeof LFM2_VL_CONFIG)['read']>;
