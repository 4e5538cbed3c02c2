import { refuseRequest } from '../../errors.js';
import {
  constant,
  defineConfig,
  field,
  flag,
  integer,
  keysBecause,
  positive,
} from '../../layers/config/index.js';
import {
  beside,
  decodePicture,
  type EncoderInput,
  type EncodeWords,
  forPictures,
  type MediaFiles,
  type MediaPiece,
  type MediaProcessor,
  mediaKey,
  type Picture,
  type TilingSizes,
} from '../../media/index.js';
import { type ModelFolder, readProcessorConfig } from '../base/processor-files.js';
import { BILINEAR, pixelFields } from '../base/vision/index.js';
import type { Lfm2VlConfig } from './config.js';

const COUNT = integer(1, 1_000_000);
const HALF = [0.5, 0.5, 0.5];

/** Defaults of transformers 5.24, Lfm2VlImageProcessor. */
const LFM2_VL_PICTURES = defineConfig({
  fields: {
    mergeSize: field('downsample_factor', COUNT, 2),
    patch: field('encoder_patch_size', COUNT, 16),
    splits: field('do_image_splitting', flag, true),
    hasWhole: field('use_thumbnail', flag, true),
    side: field('tile_size', COUNT, 512),
    minTiles: field('min_tiles', COUNT, 2),
    maxTiles: field('max_tiles', COUNT, 10),
    minTokens: field('min_image_tokens', COUNT, 64),
    maxTokens: field('max_image_tokens', COUNT, 256),
    tolerance: field('max_pixels_tolerance', positive(1e6), 2),
    ...pixelFields({ mean: HALF, std: HALF }, BILINEAR),
    isFused: constant(true),
  },
  irrelevant: keysBecause('follows from the others', 'size', 'max_num_patches'),
});
type PictureConfig = ReturnType<(typeof LFM2_VL_PICTURES)['read']>;

/** What stands around a picture, and before the whole behind its tiles. */
const [START, END, WHOLE] = ['<|image_start|>', '<|image_end|>', '<|img_thumbnail|>'];

/** Pictures of any shape as a whole; large ones as tiles that say where they were, and the whole as one more. */
export class Lfm2VlProcessor implements MediaProcessor {
  readonly placeholders: MediaProcessor['placeholders'];
  private readonly sizes: TilingSizes;

  private constructor(
    private readonly pictures: PictureConfig,
    imageTokenId: number | undefined,
    private readonly encode: EncodeWords,
  ) {
    this.placeholders = forPictures(imageTokenId);
    this.sizes = { ...pictures, block: pictures.patch * pictures.mergeSize };
  }

  /** @throws CONFIG_INVALID, REQUEST_INVALID for patches that are not the encoder's */
  static async load(
    folder: ModelFolder,
    { vision, mergeSize, imageTokenId }: Lfm2VlConfig,
    encode: EncodeWords,
  ): Promise<Lfm2VlProcessor> {
    const pictures = await readProcessorConfig(folder, LFM2_VL_PICTURES);
    const { patch, mergeSize: merged, minTiles, maxTiles, side } = pictures;
    if (patch !== vision.patchSize)
      refuseRequest('encoder_patch_size', `${vision.patchSize}, as vision_config says`, patch);
    if (merged !== mergeSize) refuseRequest('downsample_factor', `${mergeSize}, as config.json says`, merged);
    if (side % (patch * merged) !== 0)
      refuseRequest('tile_size', `a multiple of ${patch * merged}, the side of a block`, side);
    if (minTiles > maxTiles) refuseRequest('min_tiles', `at most max_tiles (${maxTiles})`, minTiles);
    return new Lfm2VlProcessor(pictures, imageTokenId, encode);
  }

  /** @throws MEDIA_* */
  async process(media: MediaFiles, what: string): Promise<readonly MediaPiece[]> {
    const [file = new Uint8Array()] = media.files;
    const picture = await decodePicture(file, what);
    const { tiles, whole, columns } = await beside('tilingOf', picture, this.sizes, what);
    const pieces: MediaPiece[] = [];
    for (const [index, tile] of tiles.entries()) {
      const place = `<|img_row_${Math.floor(index / columns) + 1}_col_${(index % columns) + 1}|>`;
      const before = (index === 0 ? START : '') + (tiles.length > 1 ? place : '');
      pieces.push(this.encode(before), await this.inputOf(tile, mediaKey(media, index)));
    }
    if (whole) {
      const before = tiles.length > 0 ? WHOLE : START;
      pieces.push(this.encode(before), await this.inputOf(whole, mediaKey(media, tiles.length)));
    }
    return [...pieces, this.encode(END)];
  }

  private async inputOf(picture: Picture, key: Int32Array): Promise<EncoderInput> {
    const { patch: patchSize, mergeSize } = this.pictures;
    const cut = { patchSize, mergeSize, temporalPatchSize: 1, channelsLast: true };
    const { data, grid } = await beside('patchesOf', [picture], this.pictures, cut);
    const [, rows, columns] = grid;
    return { data, rows: rows * columns, count: (rows * columns) / mergeSize ** 2, shape: grid, key };
  }
}
