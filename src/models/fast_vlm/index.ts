import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashInsertingATB } from '../base/inserting-text-atb.js';
import { type LlavaVision, llavaProjector } from '../base/llava/index.js';
import { besideHead, type TextWithin } from '../base/text-within.js';
import { ProjectedTower, SquareProcessor } from '../base/vision/index.js';
import { FAST_VLM_CONFIG, type FastVlmConfig, PIXELS } from './config.js';
import { FastVitTower } from './vision-tower.js';

export { FAST_VLM_CONFIG, fastVitRows, fastVitStages, PIXELS } from './config.js';

const TEXT = 'model.language_model';

/** What the model needs of its configuration. */
export type FastVlm = TextWithin &
  LlavaVision & {
    readonly vision: Pick<FastVlmConfig['vision'], 'widths' | 'depths' | 'ratios'>;
    readonly tokensAlong: number;
  };

/** Qwen2 that sees by FastViTHD (arXiv:2412.13303). */
export class FlashFastVlmForCausalLMATB extends FlashInsertingATB<FastVlm> {
  readonly name: string = 'fast_vlm';
  protected readonly encoderModule: ProjectedTower;

  constructor(config: FastVlm, weights: Weights) {
    super(config, besideHead(weights, TEXT), TEXT);
    const inner = weights.at('model');
    const tower = new FastVitTower(config, inner.at('vision_tower').at('timm_model'));
    this.encoderModule = new ProjectedTower(tower, llavaProjector(config, inner));
  }
}

export const FastVlmRouter = routerOf(FAST_VLM_CONFIG, FlashFastVlmForCausalLMATB, {
  headNames: { embedding: `${TEXT}.embed_tokens`, head: 'lm_head' },
  harmlessTensors: [/\.num_batches_tracked$/],
  mediaProcessor: (folder, { tokensAlong, imageTokenId }) =>
    SquareProcessor.load(folder, imageTokenId, {
      ...{ patchSize: PIXELS, imageSize: tokensAlong * PIXELS, keepsFirst: false },
    }),
  about: {
    kind: 'media',
    features: ['square pictures by FastViTHD', 'text of qwen2'],
    reference: 'transformers',
  },
});
registerModel('fast_vlm', FastVlmRouter);
