import type { ModelFolder } from '../processor-files.js';
import { CLIP_CHANNELS, WholeProcessor, wholePictures } from '../vision/index.js';
import type { BlipSizes } from './tower.js';

export * from './chat-format.js';
export * from './config.js';
export * from './tower.js';

/** Defaults of transformers 5.24, BlipImageProcessor. */
const BLIP_PICTURES = wholePictures(384, CLIP_CHANNELS);

/**
 * Whole pictures, or each of some frames, drawn out to one square. @throws CONFIG_INVALID, REQUEST_INVALID for squares of
 * another size than the encoder's
 */
export const blipProcessor = (
  folder: ModelFolder,
  { imageTokenId, vision, queries: tokens }: BlipSizes & { readonly imageTokenId: number | undefined },
  processor: 'image_processor' | 'video_processor' = 'image_processor',
): Promise<WholeProcessor> => {
  const sizes = { ...vision, tokens, hasFirst: true };
  return WholeProcessor.load(folder, imageTokenId, sizes, BLIP_PICTURES, processor);
};
