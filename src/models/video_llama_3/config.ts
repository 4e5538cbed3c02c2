import {
  defineConfig,
  encoderHeads,
  field,
  nested,
  required,
  text,
  tokenField,
} from '../../layers/config/index.js';
import { aroundText, textWithin } from '../base/text-within.js';
import {
  axialTheta,
  dtypeBesideText,
  sideOfSquare,
  siglipLayerFields,
  tiedAnywhere,
} from '../base/vision/index.js';

/** Defaults of transformers 5.24, VideoLlama3Config and VideoLlama3VisionConfig. */
export const VIDEO_LLAMA_3_CONFIG = aroundText(
  defineConfig({
    fields: {
      text: textWithin('text_config', { model_type: 'qwen2' }),
      modelType: field('model_type', text, required),
      dtype: dtypeBesideText,
      tieWordEmbeddings: tiedAnywhere,
      imageTokenId: tokenField('image_token_id', 151_655),
      videoTokenId: tokenField('video_token_id', 151_656),
      vision: nested('vision_config', {
        ...siglipLayerFields({ kinds: ['video_llama_3_vision'] }),
        // Half of what turns of a head turns by rows, half by columns.
        numHeads: encoderHeads('num_attention_heads', 12, { multiple: 4 }),
        patchSize: sideOfSquare('patch_size', 16),
        theta: axialTheta,
      }),
    },
  }),
);
export type VideoLlama3Config = ReturnType<(typeof VIDEO_LLAMA_3_CONFIG)['read']>;
