import { defineConfig, type Field, field, integer, only, tokenField } from '../../layers/config/index.js';
import { registerModel, routerOf } from '../../router/index.js';
import { lineRows, packedRows } from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import type { Encoder } from '../base/flash-with-encoder-atb.js';
import { FlashInsertingATB } from '../base/inserting-text-atb.js';
import {
  canvasesOr,
  clipVision,
  LLAMA_7B,
  LLAVA_IRRELEVANT,
  llavaFields,
  llavaProjector,
  MISTRAL_7B,
  patchesAlone,
  QWEN2_7B,
  siglipVision,
  squareEncoder,
  unusedOfLlava,
  visionOf,
} from '../base/llava/index.js';
import { aroundText, headNamesWithin } from '../base/text-within.js';
import { ProjectedTower } from '../base/vision/index.js';
import { NEXT_CANVASES } from '../llava_next/index.js';
import { PooledProjector } from './pooled-projector.js';
import { NextVideoProcessor } from './processor.js';

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

const TEXT = 'language_model';

/** LLaVA-NeXT that sees frames as well, coarser than pictures (LLaVA-NeXT: a strong zero-shot video model, 2024). */
export class FlashLlavaNextVideoForCausalLMATB extends FlashInsertingATB<LlavaNextVideoConfig> {
  readonly name = 'llava_next_video';
  protected readonly encoderModule: Encoder;

  constructor(config: LlavaNextVideoConfig, weights: Weights) {
    super(config, weights, TEXT);
    const { vision, hiddenSize } = config;
    const sizes = { layerId: vision.numLayers, hiddenSize };
    const projector = new PooledProjector(llavaProjector(config, weights), weights, sizes);
    const inputs = [packedRows(true, 1, false), lineRows];
    this.encoderModule = new ProjectedTower(squareEncoder(config, weights), projector, inputs);
  }
}

export const LlavaNextVideoRouter = routerOf(LLAVA_NEXT_VIDEO_CONFIG, FlashLlavaNextVideoForCausalLMATB, {
  headNames: ({ textKind }) => headNamesWithin(textKind, TEXT),
  harmlessTensors: unusedOfLlava,
  mediaProcessor: (folder, config) => NextVideoProcessor.load(folder, config),
  about: {
    kind: 'media',
    features: ['pictures as llava_next', 'frames as means of 2 x 2 patches', 'text as in llava'],
    reference: 'transformers',
  },
});
registerModel('llava_next_video', LlavaNextVideoRouter);
