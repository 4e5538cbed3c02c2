import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashInsertingATB } from '../base/inserting-text-atb.js';
import { besideHead } from '../base/text-within.js';
import { VIDEO_LLAMA_3_CONFIG, type VideoLlama3Config } from './config.js';
import { VideoLlama3Processor } from './processor.js';
import { VideoLlama3Tower } from './vision-tower.js';

const TEXT = 'model.language_model';

/** Qwen 2 that sees pictures and frames of any size, and of frames what has changed (arXiv:2501.13106). */
export class FlashVideoLlama3ForCausalLMATB extends FlashInsertingATB<VideoLlama3Config> {
  readonly name = 'video_llama_3';
  protected readonly encoderModule: VideoLlama3Tower;

  constructor(config: VideoLlama3Config, weights: Weights) {
    super(config, besideHead(weights, TEXT), TEXT);
    const within = weights.at('model');
    this.encoderModule = new VideoLlama3Tower(config, within.at('vision_model'), within.at('projector'));
  }
}

export const VideoLlama3Router = routerOf(VIDEO_LLAMA_3_CONFIG, FlashVideoLlama3ForCausalLMATB, {
  headNames: { embedding: `${TEXT}.embed_tokens`, head: 'lm_head' },
  mediaProcessor: (folder, config, encode) => VideoLlama3Processor.load(folder, config, encode),
  about: {
    kind: 'media',
    features: [
      'pictures of any size, frames behind their seconds',
      'of frames only blocks that change',
      'SigLIP with rotary positions',
      'text of qwen2',
    ],
    reference: 'transformers',
  },
});
registerModel('video_llama_3', VideoLlama3Router);
