import {
  activation,
  biases,
  type ConfigOf,
  decoder,
  defineConfig,
  encoderHeads,
  type Field,
  field,
  flag,
  fullAttention,
  keysBecause,
  LLAMA_DEFAULTS,
  mropeSections,
  nested,
  only,
  positive,
  required,
  text,
  tokenField,
  WIDTH,
  within,
} from '../../layers/config/index.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import {
  besideText,
  dtypeBesideText,
  FlashMropeForCausalLMATB,
  type MropeConfig,
  rootsOf,
  visionFields,
} from '../base/vision/index.js';
import { Glm4Layer } from '../glm4/index.js';
import type { MakeLayer } from '../llama/index.js';
import { Glm4vProcessor } from './processor.js';
import { Glm4vVisionTower } from './vision-tower.js';

export { Glm4vProcessor } from './processor.js';
export { GLM_ATTENTION, Glm4vVisionTower, GlmVisionTower } from './vision-tower.js';

/** What a class of the kind has where files are silent. */
interface GlmTokens {
  readonly image: number;
  readonly video: number;
  /** Before and behind each picture. */
  readonly start: number;
  readonly end: number;
}

/** What stands beside text in all of the kind, with `vision` and with defaults of transformers 5.24. */
export const besideGlmText = <V>(vision: Field<V>, { image, video, start, end }: GlmTokens) => ({
  modelType: field('model_type', text, required),
  dtype: dtypeBesideText,
  tieWordEmbeddings: besideText('tie_word_embeddings', flag, false),
  imageTokenId: tokenField('image_token_id', image),
  videoTokenId: tokenField('video_token_id', video),
  imageStartId: tokenField('image_start_token_id', start),
  imageEndId: tokenField('image_end_token_id', end),
  vision,
});

/** `vision_config` of the kind, with a class's sizes where files are silent. */
export const glmVisionFields = (sizes: {
  readonly hiddenSize: number;
  readonly numHeads: number;
  readonly outSize: number;
  readonly intermediateSize: number;
  readonly hasBias: boolean;
}) => ({
  ...visionFields(),
  depth: field('depth', WIDTH, 24),
  numHeads: encoderHeads('num_heads', sizes.numHeads, { multiple: 4 }),
  hiddenSize: field('hidden_size', WIDTH, sizes.hiddenSize),
  outSize: field('out_hidden_size', WIDTH, sizes.outSize),
  intermediateSize: field('intermediate_size', WIDTH, sizes.intermediateSize),
  hiddenAct: activation('hidden_act', 'silu'),
  epsilon: field('rms_norm_eps', positive(1), 1e-5),
  qkvBias: field('attention_bias', flag, sizes.hasBias),
});

/** The same of GLM-4.1V; `tokens`: of pictures and videos. */
export const glm4vFields = (tokens: Pick<GlmTokens, 'image' | 'video'>) =>
  besideGlmText(
    nested('vision_config', {
      ...glmVisionFields({
        ...{ hiddenSize: 1536, numHeads: 12, outSize: 4096, intermediateSize: 13_696, hasBias: false },
      }),
      imageSize: field('image_size', WIDTH, 336),
    }),
    { ...tokens, start: 151_339, end: 151_340 },
  );

export const GLM4V_IRRELEVANT = keysBecause(
  'stands in the chat template',
  'video_start_token_id',
  'video_end_token_id',
);

/** The text's part of config.json. `qkvBias`: whether its class has biases; `numKeyValueHeads`: where files are silent. */
export const glm4vText = (qkvBias: boolean, numKeyValueHeads: number) => ({
  ...decoder({
    ...LLAMA_DEFAULTS,
    numKeyValueHeads,
    rmsNormEps: 1e-5,
    rotary: { factor: 1, interleaved: true },
  }),
  ...biases({ qkv: field('attention_bias', only(qkvBias), qkvBias), dense: false, mlp: false }),
  slidingWindows: fullAttention,
  sections: mropeSections,
});
export const GLM4V_TEXT = within('text_config', glm4vText(true, 2));

/** Defaults of transformers 5.24, Glm4vConfig. */
const GLM4V_CONFIG = defineConfig({
  fields: { ...GLM4V_TEXT, ...glm4vFields({ image: 151_343, video: 151_344 }) },
  irrelevant: GLM4V_IRRELEVANT,
});
export type Glm4vConfig = ConfigOf<typeof GLM4V_CONFIG>;

/** A decoder whose positions have three axes, behind the tower. */
export type SeeingGlmConfig = MropeConfig & Pick<Glm4vConfig, 'vision'>;

/** GLM-4's layers, which are those of text. */
export const glm4Layers =
  (config: MropeConfig): MakeLayer =>
  (layerId, at) =>
    new Glm4Layer(layerId, config, at);

/** GLM-4 that sees pictures of any size (arXiv:2507.01006). */
export class FlashGlm4vForCausalLMATB<
  C extends SeeingGlmConfig = Glm4vConfig,
> extends FlashMropeForCausalLMATB<C> {
  readonly name: string = 'glm4v';
  protected readonly encoderModule: Glm4vVisionTower;

  /** `layer`: of text, GLM-4's when absent. */
  constructor(config: C, weights: Weights, layer: MakeLayer = glm4Layers(config)) {
    super(config, weights, { layer });
    this.encoderModule = new Glm4vVisionTower(config.vision, weights.at(rootsOf(weights).vision));
  }
}

export const Glm4vRouter = routerOf(GLM4V_CONFIG, FlashGlm4vForCausalLMATB, {
  mediaProcessor: (folder, config, encode) => Glm4vProcessor.read(folder, config, encode),
  about: {
    kind: 'media',
    features: ['as qwen2_vl', 'text of glm4', 'learned positions, bicubic', 'times of frames'],
    reference: 'transformers',
  },
});
registerModel('glm4v', Glm4vRouter);
