import { defineConfig } from '../../layers/config/index.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import type { Encoder } from '../base/flash-with-encoder-atb.js';
import { FlashInsertingATB } from '../base/inserting-text-atb.js';
import {
  AnyresProcessor,
  anyresTower,
  canvasesOr,
  clipVision,
  GRANITE_8B,
  LLAMA_7B,
  LLAVA_IRRELEVANT,
  llavaFields,
  MISTRAL_7B,
  patchesAlone,
  QWEN2_7B,
  readAnyresPictures,
  siglipVision,
  unusedOfLlava,
  visionOf,
} from '../base/llava/index.js';
import { aroundText, headNamesWithin } from '../base/text-within.js';

/** Of LlavaNextConfig: heights and widths. */
export const NEXT_CANVASES = [
  [336, 672],
  [672, 336],
  [672, 672],
  [1008, 336],
  [336, 1008],
] as const;

/** Defaults of transformers 5.24, LlavaNextConfig. */
export const LLAVA_NEXT_CONFIG = aroundText(
  defineConfig({
    fields: {
      ...llavaFields({
        vision: visionOf('clip_vision_model', {
          clip_vision_model: clipVision,
          siglip_vision_model: siglipVision(),
        }),
        texts: [LLAMA_7B, GRANITE_8B, MISTRAL_7B, QWEN2_7B],
        imageTokenId: 32_000,
        featureLayer: -2,
        select: 'default',
      }),
      select: patchesAlone('default'),
      canvases: canvasesOr(NEXT_CANVASES),
    },
    irrelevant: {
      ...LLAVA_IRRELEVANT,
      use_image_newline_parameter: 'LlavaNextModel always has one',
    },
  }),
);
export type LlavaNextConfig = ReturnType<(typeof LLAVA_NEXT_CONFIG)['read']>;

const TEXT = 'language_model';

/** LLaVA that sees pictures of any shape as one square and in tiles, line by line (LLaVA 1.6). */
export class FlashLlavaNextForCausalLMATB extends FlashInsertingATB<LlavaNextConfig> {
  readonly name = 'llava_next';
  protected readonly encoderModule: Encoder;

  constructor(config: LlavaNextConfig, weights: Weights) {
    super(config, weights, TEXT);
    this.encoderModule = anyresTower(config, weights, false);
  }
}

export const LlavaNextRouter = routerOf(LLAVA_NEXT_CONFIG, FlashLlavaNextForCausalLMATB, {
  headNames: ({ textKind }) => headNamesWithin(textKind, TEXT),
  harmlessTensors: unusedOfLlava,
  mediaProcessor: async (folder, config) =>
    new AnyresProcessor(await readAnyresPictures(folder, config, 224, 224), config),
  about: {
    kind: 'media',
    features: [
      'pictures as one square and as tiles, line by line',
      'CLIP or SigLIP',
      'one layer of an encoder, or several side by side (Granite Vision)',
      'text of granite, internlm2, llama, mistral, qwen2, qwen3',
    ],
    reference: 'transformers',
  },
});
registerModel('llava_next', LlavaNextRouter);
