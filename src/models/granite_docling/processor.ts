import { constant, defineConfig, field, flag, integer, only, positive } from '../../layers/config/index.js';
import {
  beside,
  type EncodeWords,
  type PageSizes,
  type Picture,
  pageTiles,
  tileGrid,
} from '../../media/index.js';
import { type ModelFolder, readProcessorConfig } from '../base/processor-files.js';
import {
  CLIP_CHANNELS,
  type PlacedSquares,
  PlacedSquaresProcessor,
  pixelFields,
  requireSide,
  squareSide,
} from '../base/vision/index.js';
import type { GraniteDoclingConfig } from './config.js';

const TILES = integer(1, 1024);
/** Also 0: any. */
const RATIO = positive(1e6, -Number.MIN_VALUE);

/** Tiles along a side, for which there are words. */
const MOST_ALONG = 16;

/** Defaults of transformers 5.24, GraniteDoclingImageProcessor. */
const PAGES = defineConfig({
  fields: {
    side: squareSide('size', ['height', 'width'], 512),
    splits: field('crop_to_patches', flag, true),
    minTiles: field('min_patches', TILES, 1),
    maxTiles: field('max_patches', TILES, 32),
    maxAlong: constant(MOST_ALONG),
    denseTiles: field('dense_max_patches', integer(0, 1024), 0),
    denseScale: field('dense_max_scale', RATIO, 0),
    denseRatio: field('dense_min_aspect', RATIO, 0),
    denseMaxRatio: field('dense_max_aspect', RATIO, 0),
    seesFinely: field('fine_route', only(false), false),
    ...pixelFields(CLIP_CHANNELS),
  },
});
type PageConfig = PageSizes & ReturnType<(typeof PAGES)['read']>;

/** Pages as tiles of the grid that fits them best, and the whole where there are several. */
export class GraniteDoclingProcessor extends PlacedSquaresProcessor {
  private constructor(
    private readonly pages: PageConfig,
    model: GraniteDoclingConfig,
    encode: EncodeWords,
  ) {
    super(pages, model, encode);
  }

  /** @throws CONFIG_INVALID, REQUEST_INVALID for tiles of another size than the encoder's */
  static async load(
    folder: ModelFolder,
    model: GraniteDoclingConfig,
    encode: EncodeWords,
  ): Promise<GraniteDoclingProcessor> {
    const pages = await readProcessorConfig(folder, PAGES);
    requireSide('size', pages.side, model.vision.imageSize);
    return new GraniteDoclingProcessor(pages, model, encode);
  }

  protected override async cut(picture: Picture): Promise<PlacedSquares> {
    const sizes = pageTiles(picture, this.pages);
    const { columns, rows } = tileGrid(picture, sizes);
    const tiles = await beside('tilesOf', picture, sizes, true);
    return { squares: tiles.slice(0, columns * rows), columns, whole: tiles[columns * rows] };
  }
}
