import { type Check, defineConfig, type Field, tokenField } from '../../layers/config/index.js';
import {
  canvasesOr,
  LLAMA_7B,
  LLAVA_IRRELEVANT,
  llavaFields,
  patchesAlone,
  QWEN2_7B,
  siglipVision,
  visionOf,
} from '../base/llava/index.js';
import { aroundText } from '../base/text-within.js';

/** Of LlavaOnevisionConfig: tiles of 384 pixels, up to six below each other and side by side. */
const SIDES = [384, 768, 1152, 1536, 1920, 2304];
const CANVASES = SIDES.flatMap((height) => SIDES.map((width) => [height, width] as const));

const LIMIT = /^anyres_max_([1-9]\d{0,2})$/;
const limit: Check<string> = {
  safeParse: (value) =>
    typeof value === 'string' && LIMIT.test(value)
      ? { success: true, data: value }
      : { success: false, error: { issues: [{ message: 'must be anyres_max_ and a number of tiles' }] } },
};

/** As many rows as so many tiles have, those of a canvas become at most. */
const mostTiles: Field<number> = {
  read(json) {
    const [, tiles = 9] = LIMIT.exec(json.value('vision_aspect_ratio', limit) ?? '') ?? [];
    return Number(tiles);
  },
};

/** Defaults of transformers 5.24, LlavaOnevisionConfig. */
export const LLAVA_ONEVISION_CONFIG = aroundText(
  defineConfig({
    fields: {
      ...llavaFields({
        vision: visionOf('siglip_vision_model', {
          siglip_vision_model: siglipVision({
            hiddenSize: 1152,
            intermediateSize: 4304,
            numLayers: 26,
            numHeads: 16,
            imageSize: 384,
            patchSize: 14,
          }),
        }),
        texts: [QWEN2_7B, LLAMA_7B],
        imageTokenId: 151_646,
        featureLayer: -1,
        select: 'full',
      }),
      select: patchesAlone('full'),
      videoTokenId: tokenField(['video_token_index', 'video_token_id'], 151_647),
      canvases: canvasesOr(CANVASES),
      mostTiles,
    },
    irrelevant: {
      ...LLAVA_IRRELEVANT,
      use_image_newline_parameter: 'LlavaOnevisionModel always has one',
    },
  }),
);
export type LlavaOnevisionConfig = ReturnType<(typeof LLAVA_ONEVISION_CONFIG)['read']>;
