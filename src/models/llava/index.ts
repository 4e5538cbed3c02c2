import { defineConfig, type Field } from '../../layers/config/index.js';
import type { EncodeWords, MediaProcessor } from '../../media/index.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import type { Encoder } from '../base/flash-with-encoder-atb.js';
import { FlashInsertingATB } from '../base/inserting-text-atb.js';
import {
  clipVision,
  LLAMA_7B,
  LLAVA_IRRELEVANT,
  llavaFields,
  llavaProjector,
  MISTRAL_7B,
  QWEN2_7B,
  siglipVision,
  squareEncoder,
  unusedOfLlava,
  visionOf,
} from '../base/llava/index.js';
import type { ModelFolder } from '../base/processor-files.js';
import { aroundText, headNamesWithin } from '../base/text-within.js';
import {
  layersTaken,
  PixtralProcessor,
  PixtralTower,
  ProjectedTower,
  pixtralVision,
  SquareProcessor,
  WholeProcessor,
} from '../base/vision/index.js';

const KINDS = { clip_vision_model: clipVision, siglip_vision_model: siglipVision(), pixtral: pixtralVision };

const taken = layersTaken(['vision_feature_layer'], [-2]);

/** Results of several layers stand side by side, but for Pixtral's encoder, of which nobody takes several. */
const oneOfPixtral: Field<
  readonly number[],
  { readonly vision: { readonly kind: string; readonly numLayers: number } }
> = {
  read(json, { vision }) {
    const found = taken.read(json, { vision });
    if (found.length === 1 || vision.kind !== 'pixtral') return found;
    return json.fail(`vision_feature_layer must be one layer of pixtral, found ${found.length}`);
  },
};

/** Defaults of transformers 5.24, LlavaConfig. */
export const LLAVA_CONFIG = aroundText(
  defineConfig({
    fields: {
      ...llavaFields({
        vision: visionOf('clip_vision_model', KINDS),
        texts: [LLAMA_7B, MISTRAL_7B, QWEN2_7B],
        imageTokenId: 32_000,
        featureLayer: -2,
        select: 'default',
      }),
      takenLayers: oneOfPixtral,
    },
    irrelevant: LLAVA_IRRELEVANT,
  }),
);
export type LlavaConfig = ReturnType<(typeof LLAVA_CONFIG)['read']>;

const TEXT = 'language_model';

/** Each patch of Pixtral's encoder becomes a token. */
const UNMERGED = 1;

/**
 * A model of text that sees pictures by CLIP or SigLIP (arXiv:2310.03744), or by Pixtral's encoder
 * (arXiv:2410.07073).
 */
export class FlashLlavaForCausalLMATB extends FlashInsertingATB<LlavaConfig> {
  readonly name = 'llava';
  protected readonly encoderModule: Encoder;

  constructor(config: LlavaConfig, weights: Weights) {
    super(config, weights, TEXT);
    const { vision, imageTokenId, computedLayers } = config;
    const projector = llavaProjector(config, weights);
    if (vision.kind === 'pixtral') {
      const model = { vision: { ...vision, numLayers: computedLayers }, imageTokenId, mergeSize: UNMERGED };
      this.encoderModule = new PixtralTower(model, weights.at('vision_tower'), projector, this.model.text);
    } else this.encoderModule = new ProjectedTower(squareEncoder({ ...config, vision }, weights), projector);
  }
}

function processorOf(
  folder: ModelFolder,
  { vision, imageTokenId, select }: LlavaConfig,
  encode: EncodeWords,
): Promise<MediaProcessor> {
  if (vision.kind === 'pixtral')
    return PixtralProcessor.load(folder, { vision, imageTokenId, mergeSize: UNMERGED }, encode);
  if (vision.kind === 'siglip_vision_model') return WholeProcessor.load(folder, imageTokenId, vision);
  return SquareProcessor.load(folder, imageTokenId, { ...vision, keepsFirst: select === 'full' });
}

export const LlavaRouter = routerOf(LLAVA_CONFIG, FlashLlavaForCausalLMATB, {
  headNames: ({ textKind }) => headNamesWithin(textKind, TEXT),
  harmlessTensors: unusedOfLlava,
  mediaProcessor: processorOf,
  about: {
    kind: 'media',
    features: [
      'square pictures by CLIP or SigLIP',
      "pictures of any size by Pixtral's encoder",
      'text of internlm2, llama, mistral, qwen2, qwen3',
    ],
    reference: 'transformers',
  },
});
registerModel('llava', LlavaRouter);
