import {
  beside,
  type EncoderInput,
  forPictures,
  LINE_END,
  type MediaFiles,
  type MediaPiece,
  type MediaProcessor,
  mediaKey,
  type Picture,
  RowPacker,
} from '../../media/index.js';
import { type ModelFolder, readProcessorConfig } from '../base/processor-files.js';
import { type PagesConfig, pagesConfig, requireSide, seenPage } from '../base/vision/index.js';
import type { DeepseekOcrConfig } from './config.js';
import { pixelsAlong, rowsAlong, type Square } from './vision-tower.js';

/** Stands for the row that ends a page, behind that which ends a line. */
const PAGE_END = LINE_END - 1;

/** What the published code does where nobody says otherwise ("Gundam"), under names of transformers' UnlimitedOcr. */
const PAGES = pagesConfig(640, 9);

/** Tiles of long pages, line by line through all of them, then the whole on grey; rows end lines, and the page. */
export class LinedPageProcessor implements MediaProcessor {
  readonly placeholders: MediaProcessor['placeholders'];

  private constructor(
    private readonly pages: PagesConfig,
    private readonly model: DeepseekOcrConfig,
  ) {
    this.placeholders = forPictures(model.imageTokenId);
  }

  /** @throws CONFIG_INVALID, REQUEST_INVALID for squares of other sizes than the encoder's */
  static async load(folder: ModelFolder, model: DeepseekOcrConfig): Promise<LinedPageProcessor> {
    const pages = await readProcessorConfig(folder, PAGES);
    requireSide('size', pages.side, pixelsAlong(model, 'page'));
    requireSide('tile_size', pages.tileSide, pixelsAlong(model, 'tile'));
    return new LinedPageProcessor(pages, model);
  }

  /** @throws MEDIA_* */
  async process(media: MediaFiles, what: string): Promise<readonly MediaPiece[]> {
    const { tiles, grid, whole } = await seenPage(media, what, this.pages);
    const page = await this.inputOf([whole], 1, mediaKey(media), 'page');
    if (tiles.length === 0) return [page];
    return [await this.inputOf(tiles, grid.columns, mediaKey(media, 1), 'tile'), page];
  }

  private async inputOf(
    squares: readonly Picture[],
    columns: number,
    key: Int32Array,
    square: Square,
  ): Promise<EncoderInput> {
    const { patchSize } = this.model.vision.sam;
    const sizes = { patchSize, temporalPatchSize: 1, mergeSize: 1 };
    const { data, grid: shape } = await beside('patchesOf', squares as [Picture], this.pages, sizes);
    const along = rowsAlong(this.model, square);
    const packer = new RowPacker();
    for (let y = 0; y < (squares.length / columns) * along; y++) {
      for (let x = 0; x < columns * along; x++) {
        const tile = Math.floor(y / along) * columns + Math.floor(x / along);
        packer.add((tile * along + (y % along)) * along + (x % along));
      }
      packer.add(LINE_END);
    }
    if (square === 'page') packer.add(PAGE_END);
    const rows = shape[0] * shape[1] * shape[2];
    const input = { data, rows, count: packer.count, shape, shares: packer.finish(), key };
    return square === 'tile' ? { ...input, encoder: 'second' } : input;
  }
}
