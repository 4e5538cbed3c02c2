import { DECODER_KINDS, ENCODE, ENCODE_SECOND, type GraphKind } from '../../graph/graph-kind.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import type { Encoder } from '../base/flash-with-encoder-atb.js';
import { FlashInsertingATB } from '../base/inserting-text-atb.js';
import { llavaProjector, squareEncoder, unusedOfLlava } from '../base/llava/index.js';
import { headNamesWithin } from '../base/text-within.js';
import { ProjectedTower, visionTower } from '../base/vision/index.js';
import { VIDEO_LLAVA_CONFIG, type VideoLlavaConfig } from './config.js';
import { VideoLlavaProcessor } from './processor.js';

const TEXT = 'language_model';

/** Llama that sees pictures by one encoder, frames by another, before the same two linears (arXiv:2311.10122). */
export class FlashVideoLlavaForCausalLMATB extends FlashInsertingATB<VideoLlavaConfig> {
  readonly name = 'video_llava';
  override readonly graphKinds: readonly GraphKind[] = [...DECODER_KINDS, ENCODE, ENCODE_SECOND];
  protected readonly encoderModule: Encoder;
  /** It sees frames. */
  protected override readonly secondModule: Encoder;

  constructor(config: VideoLlavaConfig, weights: Weights) {
    super(config, weights, TEXT);
    const projector = llavaProjector(config, weights);
    const { select: _, ...sizes } = config;
    // Which rows become tokens, both read of what they see.
    const tower = (name: string) =>
      new ProjectedTower(squareEncoder(sizes, weights, visionTower(weights, name)), projector);
    this.encoderModule = tower('image_tower');
    this.secondModule = tower('video_tower');
  }
}

export const VideoLlavaRouter = routerOf(VIDEO_LLAVA_CONFIG, FlashVideoLlavaForCausalLMATB, {
  headNames: ({ textKind }) => headNamesWithin(textKind, TEXT),
  harmlessTensors: unusedOfLlava,
  mediaProcessor: (folder, config) => VideoLlavaProcessor.load(folder, config),
  about: {
    kind: 'media',
    features: ['square pictures', 'frames by an encoder of their own', 'text as in llava'],
    reference: 'transformers',
  },
});
registerModel('video_llava', VideoLlavaRouter);
