import { refuseRequest } from '../../errors.js';
import { type Check, defineConfig, field, integer, only, positive } from '../../layers/config/index.js';
import {
  beside,
  decodePicture,
  fitBlocks,
  type MediaFiles,
  type MediaPiece,
  type MediaProcessor,
  mediaKey,
} from '../../media/index.js';
import { type ModelFolder, readProcessorConfig } from '../base/processor-files.js';
import type { Gemma4WholeConfig, VisionConfig } from './config.js';

const SIDE = integer(1, 1000);
const TOKENS = [70, 140, 280, 560, 1120];
const BICUBIC = 3;

/** How many tokens a picture may have. */
const tokens: Check<number> = {
  safeParse: (value) =>
    TOKENS.includes(value as number)
      ? { success: true, data: value as number }
      : { success: false, error: { issues: [{ message: `must be one of ${TOKENS.join(', ')}` }] } },
};

/** Defaults of transformers 5.24, Gemma4ImageProcessor. */
const GEMMA4_PICTURES = defineConfig({
  fields: {
    patchSize: field('patch_size', SIDE, 16),
    poolSize: field('pooling_kernel_size', SIDE, 3),
    tokens: field('max_soft_tokens', tokens, 280),
    rescale: field('rescale_factor', positive(1), 1 / 255),
    resample: field('resample', only(BICUBIC), BICUBIC),
    resizes: field('do_resize', only(true), true),
    rescales: field('do_rescale', only(true), true),
    normalizes: field('do_normalize', only(false), false),
  },
});
type PictureConfig = ReturnType<(typeof GEMMA4_PICTURES)['read']>;

/** The model takes numbers from 0 to 1 to those from -1 to 1. */
export const GEMMA4_VALUES = { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] };

/** Pictures of any shape in as many blocks of patches as there may be, each between its begin and its end. */
export class Gemma4Processor implements MediaProcessor {
  readonly placeholders: MediaProcessor['placeholders'];

  constructor(
    private readonly pictures: PictureConfig,
    private readonly model: Gemma4WholeConfig,
  ) {
    this.placeholders = model.imageTokenId === undefined ? {} : { image: model.imageTokenId };
  }

  /** @throws CONFIG_INVALID, REQUEST_INVALID for patches that are not the encoder's */
  static async load(
    folder: ModelFolder,
    model: Gemma4WholeConfig,
    { patchSize, poolSize, positionSize }: VisionConfig,
  ): Promise<Gemma4Processor> {
    const config = await readProcessorConfig(folder, GEMMA4_PICTURES);
    const says = (name: string, expected: number, found: number): void => {
      if (found !== expected) refuseRequest(name, `${expected}, as vision_config says`, found);
    };
    says('patch_size', patchSize, config.patchSize);
    says('pooling_kernel_size', poolSize, config.poolSize);
    if (config.tokens * poolSize > positionSize)
      refuseRequest(
        'max_soft_tokens',
        `at most ${positionSize} patches along a side`,
        config.tokens * poolSize,
      );
    return new Gemma4Processor(config, model);
  }

  /** @throws MEDIA_* */
  async process(media: MediaFiles, what: string): Promise<readonly MediaPiece[]> {
    const { patchSize, poolSize: mergeSize, tokens, rescale } = this.pictures;
    const [file = new Uint8Array()] = media.files;
    const picture = await decodePicture(file, what);
    const size = fitBlocks(picture, { patchSize, mergeSize, tokens });
    const resized = await beside('resize', picture, size, 'bicubic');
    const cut = { patchSize, temporalPatchSize: 1, mergeSize, channelsLast: true };
    const { data, grid } = await beside('patchesOf', [resized], { rescale, ...GEMMA4_VALUES }, cut);
    const [, rows, columns] = grid;
    const count = (rows * columns) / mergeSize ** 2;
    const { imageStartId, imageEndId, bidirectional } = this.model;
    const words = (id: number | undefined) => (id === undefined ? [] : [id]);
    const input = { data, rows: rows * columns, count, shape: grid, key: mediaKey(media) };
    return [words(imageStartId), { ...input, ...(bidirectional && { isWhole: true }) }, words(imageEndId)];
  }
}
