import {
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
import { type PagesConfig, pagesConfig, requireSide, seenPage, squareInput } from '../base/vision/index.js';
import type { DeepseekOcr2Config } from './config.js';
import { pixelsAlong, type Square, tokensOf } from './vision-tower.js';

/** Defaults of transformers 5.24, DeepseekOcr2ImageProcessor. */
const PAGES = pagesConfig(768, 6);

/** Tiles of pages that are longer than one, then the whole on grey, and behind it a learned row. */
export class PageProcessor implements MediaProcessor {
  readonly placeholders: MediaProcessor['placeholders'];

  private constructor(
    private readonly pages: PagesConfig,
    private readonly model: DeepseekOcr2Config,
  ) {
    this.placeholders = forPictures(model.imageTokenId);
  }

  /** @throws CONFIG_INVALID, REQUEST_INVALID for squares of other sizes than the encoder's */
  static async load(folder: ModelFolder, model: DeepseekOcr2Config): Promise<PageProcessor> {
    const pages = await readProcessorConfig(folder, PAGES);
    requireSide('size', pages.side, pixelsAlong(model, 'page'));
    requireSide('tile_size', pages.tileSide, pixelsAlong(model, 'tile'));
    return new PageProcessor(pages, model);
  }

  /** @throws MEDIA_* */
  async process(media: MediaFiles, what: string): Promise<readonly MediaPiece[]> {
    const { side, tileSide, splits } = this.pages;
    // Of pages that are never cut the whole is as small as a tile.
    const { tiles, whole } = await seenPage(media, what, this.pages, splits ? side : tileSide);
    return Promise.all([
      ...tiles.map((tile, index) => this.inputOf(tile, mediaKey(media, index), 'tile', false)),
      this.inputOf(whole, mediaKey(media, tiles.length), splits ? 'page' : 'tile', true),
    ]);
  }

  private async inputOf(
    picture: Picture,
    key: Int32Array,
    square: Square,
    isLast: boolean,
  ): Promise<MediaPiece> {
    const { patchSize } = this.model.vision.sam;
    const packer = new RowPacker();
    packer.addAll(0, tokensOf(this.model, square));
    if (isLast) packer.add(LINE_END);
    const sizes = { patchSize, tokensOf: () => packer.count, key, hasFirst: false };
    const input = await squareInput(picture, this.pages, sizes);
    return { ...input, shares: packer.finish(), ...(square === 'tile' && { encoder: 'second' as const }) };
  }
}
