import { cutOut } from './cut.js';
import type { Picture, PictureSize } from './picture.js';
import { resize } from './resample.js';
import { type TileGrid, type TileSizes, tileGrid } from './tiles.js';

/** How much of a picture tiles must cover for no more of them to be taken. */
const ENOUGH = 0.9;

/** Pixels of a region that a tile has room for, when the longer side of both is as long. */
function coveredBy(width: number, height: number, side: number): number {
  const [longer, shorter] = [Math.max(width, height), Math.min(width, height)];
  return longer > side ? side * ((shorter / longer) * side) : longer * shorter;
}

/** The share of a picture that `down` times `across` tiles cover; the last ones have what is left over. */
function coverage({ width, height }: PictureSize, down: number, across: number, side: number): number {
  const [rowHeight, columnWidth] = [Math.floor(height / down), Math.floor(width / across)];
  let sum = 0;
  for (let row = 0; row < down; row++)
    for (let column = 0; column < across; column++) {
      const right = column === across - 1 ? width : (column + 1) * columnWidth;
      const bottom = row === down - 1 ? height : (row + 1) * rowHeight;
      sum += coveredBy(right - column * columnWidth, bottom - row * rowHeight, side);
    }
  return sum / (width * height);
}

/**
 * The fewest tiles that cover nine tenths of a picture, or those that cover most of it (transformers 5.24,
 * `get_min_tile_covering_grid` of Ovis2, whose processor takes for columns what that calls rows).
 */
export function coveringAreaGrid(
  picture: PictureSize,
  { side, maxTiles }: Omit<TileSizes, 'minTiles'>,
): TileGrid {
  const grids: (TileGrid & { readonly covered: number; readonly tiles: number })[] = [];
  for (let columns = 1; columns <= maxTiles; columns++)
    for (let rows = 1; columns * rows <= maxTiles; rows++)
      grids.push({ columns, rows, covered: coverage(picture, columns, rows, side), tiles: columns * rows });
  grids.sort((a, b) => a.tiles - b.tiles);
  const enough = grids.filter(({ covered }) => covered > ENOUGH);
  const [best] =
    enough.length > 0
      ? enough.sort((a, b) => a.tiles - b.tiles || b.covered - a.covered)
      : grids.sort((a, b) => b.covered - a.covered || a.tiles - b.tiles);
  return { columns: best?.columns ?? 1, rows: best?.rows ?? 1 };
}

/** How Ovis2 cuts pictures. */
export interface AreaSizes extends TileSizes {
  /** Whether tiles are chosen by the area that they cover; otherwise as GOT-OCR2 does it. */
  readonly byArea: boolean;
}

/** A picture brought to the size of its grid and cut, row by row; before several tiles all of it as one more. */
export function areaTiles(picture: Picture, sizes: AreaSizes): TileGrid & { readonly squares: Picture[] } {
  const { side, byArea } = sizes;
  const { columns, rows } = byArea ? coveringAreaGrid(picture, sizes) : tileGrid(picture, sizes);
  const square = { width: side, height: side };
  const drawn = resize(picture, { width: side * columns, height: side * rows }, 'bicubic');
  const tiles = Array.from({ length: columns * rows }, (_, index) =>
    cutOut(drawn, { left: (index % columns) * side, top: Math.floor(index / columns) * side, ...square }),
  );
  const squares = tiles.length > 1 ? [resize(picture, square, 'bicubic'), ...tiles] : tiles;
  return { columns, rows, squares };
}
