import { defineConfig, type Field, field, integer, only, tokenField } from '../../layers/config/index.js';
import {
  canvasesOr,
  clipVision,
  LLAMA_7B,
  LLAVA_IRRELEVANT,
  llavaFields,
  MISTRAL_7B,
  patchesAlone,
  QWEN2_7B,
  siglipVision,
  visionOf,
} from '../base/llava/index.js';
import { aroundText } from '../base/text-within.js';
import { NEXT_CANVASES } from '../llava_next/index.js';

/** Patches along a side of a block of a frame, whose mean becomes a token: a frame has whole ones. */
const stride: Field<number, { readonly vision: { readonly imageSize: number; readonly patchSize: number } }> =
  {
    read(json, { vision: { imageSize, patchSize } }) {
      const found = field('spatial_pool_stride', integer(2, 2), 2).read(json, {});
      const side = Math.floor(imageSize / patchSize);
      return side % found === 0
        ? found
        : json.fail(`spatial_pool_stride must cut ${side} patches a side into whole blocks, found ${found}`);
    },
  };

/** Defaults of transformers 5.24, LlavaNextVideoConfig. */
export const LLAVA_NEXT_VIDEO_CONFIG = aroundText(
  defineConfig({
    fields: {
      ...llavaFields({
        vision: visionOf('clip_vision_model', {
          clip_vision_model: clipVision,
          siglip_vision_model: siglipVision(),
        }),
        texts: [LLAMA_7B, MISTRAL_7B, QWEN2_7B],
        imageTokenId: 32_001,
        featureLayer: -2,
        select: 'default',
      }),
      select: patchesAlone('default'),
      videoTokenId: tokenField(['video_token_index', 'video_token_id'], 32_000),
      canvases: canvasesOr(NEXT_CANVASES),
      pools: field('spatial_pool_mode', only('average'), 'average'),
      stride,
    },
    irrelevant: {
      ...LLAVA_IRRELEVANT,
      video_seq_length: 'follows from the size of frames',
      use_image_newline_parameter: 'LlavaNextVideoModel always has one',
    },
  }),
);
export type LlavaNextVideoConfig = ReturnType<(typeof LLAVA_NEXT_VIDEO_CONFIG)['read']>;
