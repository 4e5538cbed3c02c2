import {
  activation,
  biases,
  type ConfigOf,
  decoder,
  defineConfig,
  field,
  flag,
  fullAttention,
  keysBecause,
  LLAMA_DEFAULTS,
  nested,
  only,
  positive,
  required,
  text,
  tokenField,
  WIDTH,
  within,
} from '../../layers/config/index.js';
import { type PictureSize, smartResizeFrames } from '../../media/index.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import {
  besideText,
  CLIP_CHANNELS,
  dtypeBesideText,
  FlashMropeForCausalLMATB,
  mropeSections,
  PatchProcessor,
  pictureConfig,
  readPictureConfig,
  rootsOf,
  visionFields,
} from '../base/vision/index.js';
import { Glm4Layer } from '../glm4/index.js';
import { Glm4vVisionTower } from './vision-tower.js';

export { Glm4vVisionTower } from './vision-tower.js';

/** Defaults of transformers 5.24, Glm4vConfig. */
export const GLM4V_CONFIG = defineConfig({
  fields: {
    ...within('text_config', {
      ...decoder({
        ...LLAMA_DEFAULTS,
        numKeyValueHeads: 2,
        rmsNormEps: 1e-5,
        rotary: { factor: 1, interleaved: true },
      }),
      ...biases({ qkv: field('attention_bias', only(true), true), dense: false, mlp: false }),
      slidingWindows: fullAttention,
      sections: mropeSections,
    }),
    modelType: field('model_type', text, required),
    dtype: dtypeBesideText,
    tieWordEmbeddings: besideText('tie_word_embeddings', flag, false),
    imageTokenId: tokenField('image_token_id', 151_343),
    vision: nested('vision_config', {
      ...visionFields,
      depth: field('depth', WIDTH, 24),
      numHeads: field('num_heads', WIDTH, 12),
      hiddenSize: field('hidden_size', WIDTH, 1536),
      outSize: field('out_hidden_size', WIDTH, 4096),
      intermediateSize: field('intermediate_size', WIDTH, 13_696),
      hiddenAct: activation('hidden_act', 'silu'),
      epsilon: field('rms_norm_eps', positive(1), 1e-5),
      qkvBias: field('attention_bias', flag, false),
      imageSize: field('image_size', WIDTH, 336),
    }),
  },
  irrelevant: {
    ...keysBecause('stands in the chat template', 'image_start_token_id', 'image_end_token_id'),
    ...keysBecause(
      'is for videos, which are not read',
      ...['video_token_id', 'video_start_token_id', 'video_end_token_id'],
    ),
  },
});
export type Glm4vConfig = ConfigOf<typeof GLM4V_CONFIG>;

/** GLM-4 that sees pictures of any size (arXiv:2507.01006). */
export class FlashGlm4vForCausalLMATB extends FlashMropeForCausalLMATB<Glm4vConfig> {
  readonly name = 'glm4v';
  protected readonly encoderModule: Glm4vVisionTower;

  constructor(config: Glm4vConfig, weights: Weights) {
    super(config, weights, (layerId, at) => new Glm4Layer(layerId, config, at));
    this.encoderModule = new Glm4vVisionTower(config.vision, weights.at(rootsOf(weights).vision));
  }
}

/** Defaults of transformers 5.24, Glm4vImageProcessor. Pixels are those of a pair of frames, which a picture is. */
const GLM4V_PICTURES = pictureConfig({
  patchSize: 14,
  minPixels: 112 * 112,
  maxPixels: 28 * 28 * 15_000,
  ...CLIP_CHANNELS,
});

/** Pictures as Qwen2-VL has them, but in the sizes of pairs of frames. */
class Glm4vProcessor extends PatchProcessor {
  protected override sizeFor(size: PictureSize, what: string): PictureSize {
    const { patchSize, mergeSize, temporalPatchSize: frames, minPixels, maxPixels } = this.config;
    const range = { factor: patchSize * mergeSize, minPixels, maxPixels };
    return smartResizeFrames(size, { frames, pairSize: frames }, range, what);
  }
}

export const Glm4vRouter = routerOf(GLM4V_CONFIG, FlashGlm4vForCausalLMATB, {
  mediaProcessor: async (folder, { imageTokenId }) =>
    new Glm4vProcessor(await readPictureConfig(folder, GLM4V_PICTURES), {
      imageTokenId,
      videoTokenId: undefined,
    }),
  about: {
    kind: 'media',
    features: ['as qwen2_vl, without videos', 'text of glm4', 'learned positions, bicubic'],
    reference: 'transformers',
  },
});
registerModel('glm4v', Glm4vRouter);
