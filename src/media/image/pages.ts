import type { PictureSize } from './picture.js';
import { type TileSizes, tileGrid } from './tiles.js';

/** Into how many squares pages may be cut, wide ones into more. */
export interface PageSizes extends TileSizes {
  /** Whether pages are cut at all. */
  readonly splits: boolean;
  /** Tiles that a dense page may have, one that is wide and would become much smaller; 0: no page is dense. */
  readonly denseTiles: number;
  /** A dense page would become narrower than this share of its width; 0: whatever it would become. */
  readonly denseScale: number;
  /** Above which ratio of width to height a page is dense, and up to which; 0: any. */
  readonly denseRatio: number;
  readonly denseMaxRatio: number;
}

/** Into how many squares a page may be cut (transformers 5.24, `get_page_max_patches` of GraniteDocling). */
export function pageTiles(size: PictureSize, sizes: PageSizes): TileSizes {
  const { splits, minTiles, maxTiles, denseTiles } = sizes;
  if (!splits || maxTiles <= 1) return { ...sizes, minTiles: 1, maxTiles: 1 };
  const most = isDense(size, sizes) ? denseTiles : maxTiles;
  return { ...sizes, minTiles: Math.min(minTiles, most), maxTiles: most };
}

function isDense(size: PictureSize, sizes: PageSizes): boolean {
  const { denseTiles, denseScale, denseRatio, denseMaxRatio, side } = sizes;
  if (denseTiles === 0 || (denseScale === 0 && denseRatio === 0)) return false;
  const ratio = size.width / size.height;
  if (denseRatio > 0 && ratio <= denseRatio) return false;
  if (denseMaxRatio > 0 && ratio > denseMaxRatio) return false;
  return denseScale === 0 || (tileGrid(size, sizes).columns * side) / size.width < denseScale;
}
