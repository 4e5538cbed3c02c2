import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashInsertingATB } from '../base/inserting-text-atb.js';
import { unusedOfLlava } from '../base/llava/index.js';
import { besideHead } from '../base/text-within.js';
import { FlashGraniteForCausalLMATB } from '../granite/index.js';
import { LlamaModelATB, type MakeLayer } from '../llama/index.js';
import { GRANITE4_VISION_CONFIG, type Granite4VisionConfig } from './config.js';
import { Granite4VisionProcessor } from './processor.js';
import { deepestLevel, Granite4VisionTower } from './vision-tower.js';

const TEXT = 'model.language_model';

/** Granite whose embeddings of words alone are scaled, not what stands in their place. */
class WordScaledGraniteATB extends FlashGraniteForCausalLMATB {
  protected override scaledModel(weights: Weights, layer: MakeLayer): LlamaModelATB {
    return new LlamaModelATB(this.config, weights, layer, this.config.embeddingMultiplier);
  }
}

/** Granite that reads pages in tiles, some of whose layers get vectors of some of the encoder's. */
export class FlashGranite4VisionForCausalLMATB extends FlashInsertingATB<Granite4VisionConfig> {
  readonly name = 'granite4_vision';
  protected readonly encoderModule: Granite4VisionTower;

  constructor(config: Granite4VisionConfig, weights: Weights) {
    const head = { scale: 1 / config.logitsScaling };
    super(config, besideHead(weights, TEXT), TEXT, head, WordScaledGraniteATB);
    this.encoderModule = new Granite4VisionTower(config, weights.at('model'));
  }
}

export const Granite4VisionRouter = routerOf(GRANITE4_VISION_CONFIG, FlashGranite4VisionForCausalLMATB, {
  headNames: { embedding: `${TEXT}.embed_tokens`, head: 'lm_head' },
  // Projectors that the class has whether or not a layer of text gets what they make.
  harmlessTensors: (config) => [
    ...unusedOfLlava({ ...config, computedLayers: deepestLevel(config) }).map(
      ({ source }) => new RegExp(`^model\\.${source.slice(1)}`),
    ),
    ...[0, 1, 2, 3].flatMap((corner) =>
      config.levels.some((level) => level.corner === corner)
        ? []
        : [new RegExp(`^model\\.spatial_projectors\\.${corner}\\.`)],
    ),
  ],
  mediaProcessor: (folder, config) => Granite4VisionProcessor.load(folder, config),
  about: {
    kind: 'media',
    features: [
      'as llava_next',
      'queries that look at windows',
      'vectors for layers of text',
      'text of granite',
    ],
    reference: 'transformers',
  },
});
registerModel('granite4_vision', Granite4VisionRouter);
