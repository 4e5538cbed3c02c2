import { registerModel, routerOf } from '../../router/index.js';
import { gridPositions } from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashInsertingATB } from '../base/inserting-text-atb.js';
import { besideHead } from '../base/text-within.js';
import {
  FittedProcessor,
  ProjectedTower,
  RowProjector,
  SiglipEncoder,
  visionTower,
} from '../base/vision/index.js';
import { DEEPSEEK_VL_CONFIG, type DeepseekVlConfig } from './config.js';

export { deepseekVlFields } from './config.js';

const TEXT = 'model.language_model';

/** Llama that sees pictures by SigLIP, before two linears (arXiv:2403.05525, section 3). */
export class FlashDeepseekVlForCausalLMATB extends FlashInsertingATB<DeepseekVlConfig> {
  readonly name = 'deepseek_vl';
  protected readonly encoderModule: ProjectedTower;

  constructor(config: DeepseekVlConfig, weights: Weights) {
    super(config, besideHead(weights, TEXT), TEXT);
    const { vision, hiddenSize: outSize } = config;
    const tower = visionTower(weights, 'model.vision_model');
    const aligner = new RowProjector(weights.at('model.aligner'), {
      ...{ inSize: vision.hiddenSize, outSize, hasBias: true, act: 'gelu' },
      names: { up: 'linear1', down: 'linear2' },
    });
    this.encoderModule = new ProjectedTower(
      new SiglipEncoder(vision, tower, { positions: gridPositions }),
      aligner,
    );
  }
}

export const DeepseekVlRouter = routerOf(DEEPSEEK_VL_CONFIG, FlashDeepseekVlForCausalLMATB, {
  headNames: { embedding: `${TEXT}.embed_tokens`, head: 'lm_head' },
  harmlessTensors: [/^model\.vision_model\.(vision_model\.)?(head\.|embeddings\.position_ids$)/],
  mediaProcessor: async (folder, config) =>
    new FittedProcessor(await FittedProcessor.configOf(folder, config), config),
  about: {
    kind: 'media',
    features: ['pictures in squares by SigLIP', 'text as in llava'],
    reference: 'transformers',
  },
});
registerModel('deepseek_vl', DeepseekVlRouter);
