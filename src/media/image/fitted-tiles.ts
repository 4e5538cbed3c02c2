import type { CanvasSizes } from './canvas.js';
import { cutOut } from './cut.js';
import type { Picture, PictureSize } from './picture.js';
import { resize } from './resample.js';
import type { TileGrid } from './tiles.js';

type TileSizes = Pick<CanvasSizes, 'side' | 'maxTiles'>;

/** All grids of at most so many tiles, those of one ratio together, and of these the largest first. */
function gridsByRatio(maxTiles: number): ReadonlyMap<number, readonly TileGrid[]> {
  const found = new Map<number, TileGrid[]>();
  for (let tiles = maxTiles; tiles > 0; tiles--)
    for (let columns = 1; columns <= tiles; columns++) {
      if (tiles % columns !== 0) continue;
      const rows = tiles / columns;
      const alike = found.get(columns / rows) ?? [];
      alike.push({ columns, rows });
      found.set(columns / rows, alike);
    }
  return found;
}

/** How long the shorter side of a picture is that is drawn out within a canvas as far as it goes. */
function shorterWithin({ width, height }: PictureSize, canvas: PictureSize): number {
  const ratio = width / height;
  const factor = Math.min(canvas.width / width, canvas.height / height);
  // Shorter than the other by one where it is cut to a whole number, which counts as it is.
  if (ratio > 1) return Math.floor((factor * width) / ratio);
  return ratio < 1 ? Math.floor(factor * height * ratio) : factor * height;
}

/**
 * The grid of tiles within which a picture becomes largest, of those that it fits into as it is; else, of the ratio that
 * is nearest to its own towards a square, the largest (transformers 5.24, `PerceptionLMImageProcessor`).
 */
export function fittedGrid(picture: PictureSize, { side, maxTiles }: TileSizes): TileGrid {
  const byRatio = gridsByRatio(maxTiles);
  let best: (TileGrid & { readonly shorter: number }) | undefined;
  for (const grid of [...byRatio.values()].flat()) {
    const canvas = { width: grid.columns * side, height: grid.rows * side };
    if (canvas.width < picture.width || canvas.height < picture.height) continue;
    const shorter = shorterWithin(picture, canvas);
    if (best === undefined || shorter >= best.shorter) best = { ...grid, shorter };
  }
  if (best) return { columns: best.columns, rows: best.rows };
  const own = picture.width / picture.height;
  const isWide = own >= 1;
  const away = (ratio: number): number => Math.abs(isWide ? ratio - own : 1 / ratio - 1 / own);
  const ratios = [...byRatio.keys()].filter((ratio) => (isWide ? ratio <= own : ratio > own));
  const nearest = ratios.reduce((near, ratio) => (away(ratio) < away(near) ? ratio : near));
  const [largest] = byRatio.get(nearest) ?? [];
  return largest ?? { columns: 1, rows: 1 };
}

/** The whole picture, drawn out to a square, and behind it the tiles of that grid, row by row. */
export function fittedTiles(picture: Picture, sizes: TileSizes): Picture[] {
  const { side } = sizes;
  const { columns, rows } = fittedGrid(picture, sizes);
  const square = { width: side, height: side };
  const drawn = resize(picture, { width: columns * side, height: rows * side }, 'bicubic');
  const tiles = Array.from({ length: columns * rows }, (_, index) =>
    cutOut(drawn, { left: (index % columns) * side, top: Math.floor(index / columns) * side, ...square }),
  );
  return [resize(picture, square, 'bicubic'), ...tiles];
}
