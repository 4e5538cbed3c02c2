import { defineConfig, field, flag, integer } from '../../layers/config/index.js';
import {
  beside,
  forPictures,
  type MediaFiles,
  type MediaPiece,
  type MediaProcessor,
  mediaKey,
} from '../../media/index.js';
import { type ModelFolder, readProcessorConfig } from '../base/processor-files.js';
import {
  CLIP_CHANNELS,
  picturesOf,
  pixelFields,
  requireSide,
  squareInput,
  squareSide,
} from '../base/vision/index.js';
import type { GotOcrConfig } from './config.js';
import { tokensAlong } from './vision-tower.js';

const TILES = integer(1, 100);

/** Defaults of transformers 5.24, GotOcr2ImageProcessor. */
const GOT_PICTURES = defineConfig({
  fields: {
    side: squareSide('size', ['height', 'width'], 384),
    splits: field('crop_to_patches', flag, false),
    minTiles: field('min_patches', TILES, 1),
    maxTiles: field('max_patches', TILES, 12),
    ...pixelFields(CLIP_CHANNELS),
  },
});
type PictureConfig = ReturnType<(typeof GOT_PICTURES)['read']>;

/** Whole pictures, drawn out to one square, or, where the file asks for it, as tiles and the whole. */
export class GotOcrProcessor implements MediaProcessor {
  readonly placeholders: MediaProcessor['placeholders'];

  private constructor(
    private readonly pictures: PictureConfig,
    private readonly model: GotOcrConfig,
  ) {
    this.placeholders = forPictures(model.imageTokenId);
  }

  /** @throws CONFIG_INVALID, REQUEST_INVALID for squares of another size than the encoder's */
  static async load(folder: ModelFolder, model: GotOcrConfig): Promise<GotOcrProcessor> {
    const pictures = await readProcessorConfig(folder, GOT_PICTURES);
    requireSide('size', pictures.side, model.vision.imageSize);
    return new GotOcrProcessor(pictures, model);
  }

  /** @throws MEDIA_* */
  async process(media: MediaFiles, what: string): Promise<readonly MediaPiece[]> {
    const { pictures, model } = this;
    const { side, splits } = pictures;
    const [picture] = await picturesOf(media, what);
    const tiles = splits
      ? await beside('tilesOf', picture, pictures, true)
      : [await beside('resize', picture, { width: side, height: side }, 'bicubic')];
    const { patchSize } = model.vision;
    const tokensOf = (): number => tokensAlong(model) ** 2;
    return Promise.all(
      tiles.map((tile, index) => {
        const key = mediaKey(media, index);
        return squareInput(tile, pictures, { patchSize, tokensOf, key, hasFirst: false });
      }),
    );
  }
}
