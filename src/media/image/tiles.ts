import { cutOut } from './cut.js';
import type { Picture, PictureSize } from './picture.js';
import { resize } from './resample.js';

/** Into how many squares pictures may be cut. */
export interface TileSizes {
  /** Pixels along a side of a tile. */
  readonly side: number;
  readonly minTiles: number;
  readonly maxTiles: number;
  /** As many tiles as there may be along a side; all when absent. */
  readonly maxAlong?: number;
}

/** Tiles side by side and below each other. */
export interface TileGrid {
  readonly columns: number;
  readonly rows: number;
}

/**
 * The grid whose ratio of sides is nearest to the picture's. Of several that are equally near, the largest of which the
 * picture has more than half the pixels (transformers 5.24, `get_optimal_tiled_canvas` of GOT-OCR2; `dynamic_preprocess`
 * of InternVL).
 */
export function tileGrid(
  { width, height }: PictureSize,
  { side, minTiles, maxTiles, maxAlong = maxTiles }: TileSizes,
): TileGrid {
  const grids: TileGrid[] = [];
  const most = Math.min(maxTiles, maxAlong);
  for (let columns = 1; columns <= most; columns++)
    for (let rows = 1; rows <= most && columns * rows <= maxTiles; rows++)
      if (columns * rows >= minTiles) grids.push({ columns, rows });
  grids.sort((a, b) => a.columns * a.rows - b.columns * b.rows);
  let [best, least] = [{ columns: 1, rows: 1 }, Number.POSITIVE_INFINITY];
  for (const grid of grids) {
    const { columns, rows } = grid;
    const distance = Math.abs(width / height - columns / rows);
    const isLargeEnough = width * height > 0.5 * side * side * columns * rows;
    if (distance < least || (distance === least && isLargeEnough)) best = grid;
    least = Math.min(least, distance);
  }
  return best;
}

/** A picture brought to the size of its grid and cut, row by row; behind several tiles, if wanted, all of it as one more. */
export function tilesOf(picture: Picture, sizes: TileSizes, hasThumbnail: boolean): Picture[] {
  const { side } = sizes;
  const { columns, rows } = tileGrid(picture, sizes);
  const whole = resize(picture, { width: side * columns, height: side * rows }, 'bicubic');
  const tiles = Array.from({ length: columns * rows }, (_, index) =>
    cutOut(whole, {
      left: (index % columns) * side,
      top: Math.floor(index / columns) * side,
      width: side,
      height: side,
    }),
  );
  const isCut = tiles.length > 1;
  return isCut && hasThumbnail
    ? [...tiles, resize(picture, { width: side, height: side }, 'bicubic')]
    : tiles;
}
