import type { ConfigDict } from '../../layers/config/index.js';
import type { EncodeWords, MediaFiles, MediaPiece } from '../../media/index.js';
import { type ModelFolder, readProcessorConfig } from '../base/processor-files.js';
import {
  CLIP_CHANNELS,
  type PatchConfigs,
  PatchProcessor,
  pictureConfig,
  requirePatches,
} from '../base/vision/index.js';
import type { MiniMaxM3VlConfig } from './config.js';

const [BEFORE, BEHIND] = [']<]start of image[>[', ']<]end of image[>['];

/** Defaults of transformers 5.24, MiniMaxM3VLImageProcessor. */
const DEFAULTS = pictureConfig({
  ...{ patchSize: 14, minPixels: 4 * 28 * 28, maxPixels: 451_584 },
  ...CLIP_CHANNELS,
});
/** The size in published files is that of no picture, and left out. */
const PICTURES = {
  read({ size, ...dict }: ConfigDict, file: string) {
    const isPublished = Array.isArray(size) && size.join() === '672,672';
    return DEFAULTS.read(isPublished || size === undefined ? dict : { ...dict, size }, file);
  },
};

/** Pictures as Qwen2-VL has them, between words. */
export class MiniMaxM3Processor extends PatchProcessor {
  private constructor(
    configs: PatchConfigs,
    { imageTokenId }: MiniMaxM3VlConfig,
    private readonly encode: EncodeWords,
  ) {
    super(configs, { imageTokenId, videoTokenId: undefined });
  }

  /** @throws CONFIG_INVALID, REQUEST_INVALID for patches that are not the encoder's */
  static async read(
    folder: ModelFolder,
    model: MiniMaxM3VlConfig,
    encode: EncodeWords,
  ): Promise<MiniMaxM3Processor> {
    const pictures = await readProcessorConfig(folder, PICTURES);
    requirePatches(pictures, model.vision);
    return new MiniMaxM3Processor({ pictures, frames: pictures }, model, encode);
  }

  override async process(media: MediaFiles, what: string): Promise<readonly MediaPiece[]> {
    const seen = await super.process(media, what);
    return [this.encode(BEFORE), ...seen, this.encode(BEHIND)];
  }
}
