import { refuseRequest } from '../../errors.js';
import { type ConfigOf, defineConfig, field, integer, only } from '../../layers/config/index.js';
import {
  beside,
  decodePicture,
  forPictures,
  type MediaFiles,
  type MediaPiece,
  type MediaProcessor,
  mediaKey,
  onBlack,
  type Picture,
  type PictureSize,
} from '../../media/index.js';
import { type ModelFolder, readProcessorConfig } from '../base/processor-files.js';
import { pixelFields } from '../base/vision/index.js';
import type { AriaConfig } from './config.js';

const HALF = [0.5, 0.5, 0.5];
const SIDE = integer(1, 4096);

/** Defaults of transformers 5.24, AriaImageProcessor. */
const PICTURES = defineConfig({
  fields: {
    longest: field('max_image_size', SIDE, 980),
    shortest: field('min_image_size', SIDE, 336),
    // Of squares of several pictures its processor counts as many for each as the one that has most.
    splits: field('split_image', only(false), false),
    ...pixelFields({ mean: HALF, std: HALF }),
  },
});
type Pictures = ConfigOf<typeof PICTURES>;

/** The longer side gets as long as it may be; the shorter one keeps their ratio, but not below the least. */
function sizeOf({ width, height }: PictureSize, { longest, shortest }: Pictures): PictureSize {
  const scale = longest / Math.max(width, height);
  const shorter = (side: number): number => Math.max(Math.trunc(side * scale), shortest);
  return width >= height
    ? { width: longest, height: shorter(height) }
    : { width: shorter(width), height: longest };
}

/** A picture with black at its right and below, up to whole patches. */
const onPatches = (picture: Picture, patchSize: number): Picture => {
  const whole = (side: number): number => Math.ceil(side / patchSize) * patchSize;
  return onBlack(picture, { width: whole(picture.width), height: whole(picture.height) });
};

/** Pictures in their own shapes, with black up to whole patches: as many tokens each. */
export class AriaProcessor implements MediaProcessor {
  readonly placeholders: MediaProcessor['placeholders'];

  private constructor(
    private readonly pictures: Pictures,
    private readonly patchSize: number,
    /** Tokens of a picture. */
    private readonly count: number,
    imageTokenId: number | undefined,
  ) {
    this.placeholders = forPictures(imageTokenId);
  }

  /** @throws CONFIG_INVALID, REQUEST_INVALID for a size for which the model says no number of queries */
  static async load(
    folder: ModelFolder,
    { vision: { patchSize }, queries, imageTokenId }: AriaConfig,
  ): Promise<AriaProcessor> {
    const pictures = await readProcessorConfig(folder, PICTURES);
    const { longest, shortest } = pictures;
    const count = queries.get(Math.floor(longest / patchSize) ** 2);
    if (count === undefined || longest % patchSize !== 0) {
      const patches = [...queries.keys()].join(', ');
      return refuseRequest(
        'max_image_size',
        `a side of whole patches of ${patchSize} pixels, one of ${patches} in its square`,
        longest,
      );
    }
    if (shortest > longest) refuseRequest('min_image_size', `at most max_image_size, ${longest}`, shortest);
    return new AriaProcessor(pictures, patchSize, count, imageTokenId);
  }

  /** @throws MEDIA_* */
  async process(media: MediaFiles, what: string): Promise<readonly MediaPiece[]> {
    const { patchSize, count } = this;
    const [file = new Uint8Array()] = media.files;
    const picture = await decodePicture(file, what);
    const resized = await beside('resize', picture, sizeOf(picture, this.pictures), 'bicubic');
    const sizes = { patchSize, temporalPatchSize: 1, mergeSize: 1 };
    const { data, grid } = await beside('patchesOf', [onPatches(resized, patchSize)], this.pictures, sizes);
    const [, rows, columns] = grid;
    return [{ data, rows: rows * columns, count, shape: grid, key: mediaKey(media) }];
  }
}
