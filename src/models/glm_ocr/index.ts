import { NormedRotaryAttention, projectionNorms } from '../../layers/attention/attention-orders.js';
import { encoderAttention } from '../../layers/attention-config.js';
import { type ConfigOf, defineConfig, nested, predictionLayers, within } from '../../layers/config/index.js';
import { BaseMLP } from '../../layers/mlp/mlp.js';
import { HeadNorm } from '../../layers/norms/norms.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashMropeForCausalLMATB, rootsOf } from '../base/vision/index.js';
import {
  besideGlmText,
  GLM_ATTENTION,
  GLM4V_IRRELEVANT,
  Glm4vProcessor,
  GlmVisionTower,
  glm4Layers,
  glm4vText,
  glmVisionFields,
} from '../glm4v/index.js';

/** Defaults of transformers 5.24, GlmOcrConfig. */
const GLM_OCR_CONFIG = defineConfig({
  fields: {
    ...within('text_config', { ...glm4vText(false, 8), predictionLayers: predictionLayers(0) }),
    ...besideGlmText(
      nested(
        'vision_config',
        glmVisionFields({
          ...{ hiddenSize: 1024, numHeads: 16, outSize: 1536, intermediateSize: 4096, hasBias: true },
        }),
        // Of learned positions, which it has none of.
        ['image_size'],
      ),
      { image: 59_280, video: 59_281, start: 59_256, end: 59_257 },
    ),
  },
  irrelevant: GLM4V_IRRELEVANT,
});
type GlmOcrConfig = ConfigOf<typeof GLM_OCR_CONFIG>;

/** GLM's encoder with rotary positions alone, norms of each head's queries and keys, and biases. */
class GlmOcrTower extends GlmVisionTower {
  constructor({ vision }: GlmOcrConfig, weights: Weights) {
    const { hiddenSize, numHeads, qkvBias, epsilon, outSize, inChannels } = vision;
    const attention = encoderAttention({ hiddenSize, numHeads, qkvBias, denseBias: qkvBias });
    const { headDim } = attention;
    super(vision, weights, {
      attention: (layerId, at) => {
        const norms = projectionNorms(
          attention,
          (of, heads) => new HeadNorm(at.at(`${of}_norm`), { heads, headDim }, epsilon),
        );
        return new NormedRotaryAttention(layerId, attention, at, norms, GLM_ATTENTION);
      },
      mlp: (at) => new BaseMLP({ ...vision, mlpBias: qkvBias }, at),
      mergerSize: outSize * inChannels,
    });
  }
}

/** GLM-4 that reads documents, its encoder being smaller than GLM-4.1V's. */
export class FlashGlmOcrForCausalLMATB extends FlashMropeForCausalLMATB<GlmOcrConfig> {
  readonly name = 'glm_ocr';
  protected readonly encoderModule: GlmOcrTower;

  constructor(config: GlmOcrConfig, weights: Weights) {
    super(config, weights, { layer: glm4Layers(config) });
    this.encoderModule = new GlmOcrTower(config, weights.at(rootsOf(weights).vision));
  }
}

export const GlmOcrRouter = routerOf(GLM_OCR_CONFIG, FlashGlmOcrForCausalLMATB, {
  mediaProcessor: (folder, config, encode) => Glm4vProcessor.read(folder, config, encode, 'Glm46VProcessor'),
  about: {
    kind: 'media',
    features: ['as glm46v', 'rotary positions alone', 'norms of q and k of its encoder', 'text of glm4'],
    reference: 'transformers',
  },
});
registerModel('glm_ocr', GlmOcrRouter);
