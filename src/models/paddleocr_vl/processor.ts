import { defineConfig, field, only } from '../../layers/config/index.js';
import { type PictureSize, smartResizeGrown } from '../../media/index.js';
import { type ModelFolder, readProcessorConfig } from '../base/processor-files.js';
import {
  CLIP_CHANNELS,
  PatchProcessor,
  type PictureConfig,
  patchFields,
  requirePatches,
} from '../base/vision/index.js';
import type { PaddleOcrVlConfig } from './config.js';

/** Defaults of transformers 5.24, PaddleOCRVLImageProcessor: a patch is of one frame. */
const PICTURES = defineConfig({
  fields: {
    ...patchFields({ patchSize: 14, minPixels: 384 * 384, maxPixels: 1536 * 1536, ...CLIP_CHANNELS }),
    temporalPatchSize: field('temporal_patch_size', only(1), 1),
  },
});

/** Pictures as Qwen2-VL has them, of which narrow ones grow first. */
export class PaddleOcrProcessor extends PatchProcessor {
  /** @throws CONFIG_INVALID, REQUEST_INVALID for patches that are not the encoder's */
  static async read(
    folder: ModelFolder,
    { imageTokenId, vision }: PaddleOcrVlConfig,
  ): Promise<PaddleOcrProcessor> {
    const pictures = await readProcessorConfig(folder, PICTURES);
    requirePatches(pictures, vision);
    return new PaddleOcrProcessor({ pictures, frames: pictures }, { imageTokenId, videoTokenId: undefined });
  }

  protected override sizeFor(
    size: PictureSize,
    { patchSize, mergeSize, minPixels, maxPixels }: PictureConfig,
    what: string,
  ): PictureSize {
    return smartResizeGrown(size, { factor: patchSize * mergeSize, minPixels, maxPixels }, what);
  }
}
