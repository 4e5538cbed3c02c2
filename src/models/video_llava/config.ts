import { defineConfig, tokenField } from '../../layers/config/index.js';
import { clipVision, LLAMA_7B, LLAVA_IRRELEVANT, llavaFields, visionOf } from '../base/llava/index.js';
import { aroundText } from '../base/text-within.js';

/** Defaults of transformers 5.24, VideoLlavaConfig. */
export const VIDEO_LLAVA_CONFIG = aroundText(
  defineConfig({
    fields: {
      ...llavaFields({
        vision: visionOf('clip_vision_model', { clip_vision_model: clipVision }),
        texts: [LLAMA_7B],
        imageTokenId: 32_000,
        featureLayer: -2,
        select: 'default',
      }),
      videoTokenId: tokenField(['video_token_index', 'video_token_id'], 32_001),
    },
    irrelevant: { ...LLAVA_IRRELEVANT, video_seq_length: 'follows from the size of frames' },
  }),
);
export type VideoLlavaConfig = ReturnType<(typeof VIDEO_LLAVA_CONFIG)['read']>;
