import { defineConfig, field, only } from '../../layers/config/index.js';
import { type ModelFolder, readProcessorConfig } from '../base/processor-files.js';
import { CLIP_CHANNELS, PatchProcessor, patchFields } from '../base/vision/index.js';
import type { ErnieVlConfig } from './config.js';

/** Defaults of transformers 5.24, Ernie4_5_VLMoeImageProcessor: a patch is of one frame. */
const PICTURES = defineConfig({
  fields: {
    ...patchFields({ patchSize: 14, minPixels: 56 * 56, maxPixels: 28 * 28 * 6177, ...CLIP_CHANNELS }),
    temporalPatchSize: field('temporal_patch_size', only(1), 1),
  },
});

/** @throws CONFIG_INVALID */
export async function processorOf(
  folder: ModelFolder,
  { imageTokenId }: ErnieVlConfig,
): Promise<PatchProcessor> {
  const pictures = await readProcessorConfig(folder, PICTURES);
  // Frames have their times drawn on them by a font, which nobody else has.
  return new PatchProcessor({ pictures, frames: pictures }, { imageTokenId, videoTokenId: undefined });
}
