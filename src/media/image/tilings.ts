import { pythonRound } from '../python-round.js';
import { cutOut } from './cut.js';
import type { Picture, PictureSize } from './picture.js';
import { checkRatio } from './ratio.js';
import { resize } from './resample.js';
import { tileGrid } from './tiles.js';

/** How large pictures are looked at, and when they are cut into tiles. */
export interface TilingSizes {
  /** Pixels along a side of a patch, and of what becomes one token. */
  readonly patch: number;
  readonly block: number;
  /** Tokens of a picture that is not cut, and of the whole beside tiles. */
  readonly minTokens: number;
  readonly maxTokens: number;
  /** A picture is cut from so many times the most pixels on. */
  readonly tolerance: number;
  /** Whether pictures are cut at all, and whether the whole comes with the tiles. */
  readonly splits: boolean;
  readonly hasWhole: boolean;
  /** Pixels along a side of a tile; how many there are. */
  readonly side: number;
  readonly minTiles: number;
  readonly maxTiles: number;
}

/** A picture's tiles, row by row, and the whole in its own shape; without tiles it is the whole alone. */
export interface TiledPicture {
  readonly columns: number;
  readonly rows: number;
  readonly tiles: readonly Picture[];
  readonly whole?: Picture;
}

/**
 * The size of a whole picture in whole blocks, its shape kept as nearly as these allow (transformers 5.24, `smart_resize` of
 * LFM2-VL).
 */
export function wholeSize(
  { width, height }: PictureSize,
  { block, minTokens, maxTokens }: TilingSizes,
): PictureSize {
  const nearest = (side: number): number => Math.max(block, pythonRound(side / block) * block);
  const pixels = nearest(width) * nearest(height);
  const [least, most] = [minTokens * block ** 2, maxTokens * block ** 2];
  if (pixels > most) {
    const shrink = Math.sqrt((height * width) / most);
    const below = (side: number): number => Math.max(block, Math.floor(side / shrink / block) * block);
    return { width: below(width), height: below(height) };
  }
  if (pixels >= least) return { width: nearest(width), height: nearest(height) };
  const grow = Math.sqrt(least / (height * width));
  const above = (side: number): number => Math.ceil((side * grow) / block) * block;
  return { width: above(width), height: above(height) };
}

/** Whether a picture has too many pixels to be looked at as a whole; a side counts at least as long as a patch's. */
function isLarge(
  { width, height }: PictureSize,
  { block, patch, maxTokens, tolerance }: TilingSizes,
): boolean {
  const nearest = (side: number): number => Math.max(patch, pythonRound(side / block) * block);
  return nearest(width) * nearest(height) > maxTokens * block ** 2 * tolerance;
}

/**
 * Tiles of a large picture, in the grid whose shape is nearest to its own, and a whole one (transformers 5.24,
 * `Lfm2VlImageProcessor`).
 * @throws MEDIA_UNSUPPORTED for a picture that is more than 200 times as long as it is wide
 */
export function tilingOf(picture: Picture, sizes: TilingSizes, what: string): TiledPicture {
  checkRatio(picture, what);
  const { side, splits, hasWhole } = sizes;
  const whole = () => resize(picture, wholeSize(picture, sizes), 'bilinear');
  if (!splits || !isLarge(picture, sizes)) return { columns: 0, rows: 0, tiles: [], whole: whole() };
  const { columns, rows } = tileGrid(picture, sizes);
  const drawn = resize(picture, { width: columns * side, height: rows * side }, 'bilinear');
  const square = { width: side, height: side };
  const tiles = Array.from({ length: columns * rows }, (_, tile) =>
    cutOut(drawn, { left: (tile % columns) * side, top: Math.floor(tile / columns) * side, ...square }),
  );
  return { columns, rows, tiles, ...(hasWhole && tiles.length > 1 && { whole: whole() }) };
}
