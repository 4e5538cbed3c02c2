import {
  biases,
  type ConfigOf,
  constant,
  decoder,
  defineConfig,
  encoderHeads,
  field,
  flag,
  fullAttention,
  integer,
  keysBecause,
  LLAMA_DEFAULTS,
  nested,
  required,
  sectionsOr,
  text,
  tokenField,
  within,
} from '../../layers/config/index.js';
import {
  axialTheta,
  besideText,
  dtypeBesideText,
  siglipFields,
  TOKENS_OF_TEMPLATES,
} from '../base/vision/index.js';

const KINDS = ['paddleocr_vl_vision', 'paddleocr_vl', 'siglip_vision_model'] as const;

/** Defaults of transformers 5.24, PaddleOCRVLConfig. */
export const PADDLEOCR_VL_CONFIG = defineConfig({
  fields: {
    ...within('text_config', {
      ...decoder({
        ...LLAMA_DEFAULTS,
        numKeyValueHeads: 2,
        headDim: 128,
        rmsNormEps: 1e-5,
        ropeTheta: 500_000,
        tieWordEmbeddings: true,
      }),
      ...biases({ qkv: 'use_bias', dense: 'use_bias', mlp: 'use_bias' }),
      slidingWindows: fullAttention,
      sections: sectionsOr([16, 24, 24]),
    }),
    modelType: field('model_type', text, required),
    dtype: dtypeBesideText,
    tieWordEmbeddings: besideText('tie_word_embeddings', flag, true),
    imageTokenId: tokenField('image_token_id', 100_295),
    vision: nested(
      'vision_config',
      {
        ...siglipFields({
          kinds: KINDS,
          hiddenSize: 1152,
          intermediateSize: 4304,
          numLayers: 27,
          imageSize: 384,
          patchSize: 14,
        }),
        numHeads: encoderHeads('num_attention_heads', 16, { multiple: 4 }),
        mergeSize: field('spatial_merge_size', integer(1, 100), 2),
        temporalPatchSize: constant(1),
        theta: axialTheta,
      },
      // Frames of videos, which nobody reads, and of pictures, which are one each.
      ['temporal_patch_size', 'tokens_per_second', 'pad_token_id'],
    ),
  },
  irrelevant: {
    ...TOKENS_OF_TEMPLATES,
    ...keysBecause('stands for videos, which its class does not see', 'video_token_id'),
    ...keysBecause('is used in training alone', 'ignored_index'),
  },
});
export type PaddleOcrVlConfig = ConfigOf<typeof PADDLEOCR_VL_CONFIG>;
