import { defineConfig, field, flag, integer } from '../../../layers/config/index.js';
import { beside, type MediaFiles, type Picture, type TileGrid, tileGrid } from '../../../media/index.js';
import { picturesOf } from './patch-processor.js';
import { channels, pixelFields } from './picture-config.js';
import { squareSide } from './square-processor.js';

const TILES = integer(1, 100);
const HALF = [0.5, 0.5, 0.5];

/** How pages are seen: whole ones on a square, and before that tiles of those that are longer than one. */
export const pagesConfig = (tileSide: number, maxTiles: number) =>
  defineConfig({
    fields: {
      side: squareSide('size', ['height', 'width'], 1024),
      tileSide: field('tile_size', integer(1, 4096), tileSide),
      splits: field('crop_to_patches', flag, true),
      minTiles: field('min_patches', TILES, 2),
      maxTiles: field('max_patches', TILES, maxTiles),
      background: channels('background_color', [127, 127, 127]),
      ...pixelFields({ mean: HALF, std: HALF }),
    },
  });
export type PagesConfig = ReturnType<ReturnType<typeof pagesConfig>['read']>;

/** A page's tiles, row by row, none of a short one, and the whole in its own shape on a square. */
export interface SeenPage {
  readonly tiles: readonly Picture[];
  readonly grid: TileGrid;
  readonly whole: Picture;
}

/** `wholeSide`: pixels along that square. @throws MEDIA_* */
export async function seenPage(
  media: MediaFiles,
  what: string,
  pages: PagesConfig,
  wholeSide = pages.side,
): Promise<SeenPage> {
  const { splits, tileSide, background } = pages;
  const [picture] = await picturesOf(media, what);
  const sizes = { ...pages, side: tileSide };
  const isCut = splits && Math.max(picture.width, picture.height) > tileSide;
  return {
    tiles: isCut ? await beside('tilesOf', picture, sizes, false) : [],
    grid: tileGrid(picture, sizes),
    whole: await beside('framedSquare', picture, wholeSide, background, what),
  };
}
