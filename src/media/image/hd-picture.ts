import { AtbError } from '../../errors.js';
import { cubicPlaces } from './cubic.js';
import { type PixelValues, patchesOf } from './patches.js';
import type { Picture, PictureSize } from './picture.js';
import { resize } from './resample.js';
import { type TileGrid, tileGrid } from './tiles.js';

/** How pictures are put on tiles. */
export interface HdSizes {
  /** Pixels along a side of a tile, and of a patch. */
  readonly side: number;
  readonly patchSize: number;
  readonly maxTiles: number;
}

/** A picture on tiles, as patches: those that hold some of it, then those of the whole, drawn out to one tile. */
export interface HdPicture {
  /** [rows, 3 * patchSize * patchSize] in f32. */
  readonly data: Float32Array;
  readonly rows: number;
  /** Patches that hold some of the picture, below each other and side by side, through all tiles. */
  readonly grid: readonly [down: number, across: number];
}

/** One tile's patches that hold some of a picture. */
export interface HdTile {
  /** The place of the first of them among those of the picture's tiles. */
  readonly top: number;
  readonly left: number;
  readonly down: number;
  readonly across: number;
  /** Whether one that holds nothing belongs to a block of 2 x 2 with one of these; it stands for all of its kind. */
  readonly hasEmpty: boolean;
}

/** Tiles, row by row, of `side` x `side` patches each, of a picture that has so many of them. */
export function hdTiles([down, across]: HdPicture['grid'], side: number): HdTile[] {
  const tiles: HdTile[] = [];
  for (let top = 0; top < down; top += side)
    for (let left = 0; left < across; left += side) {
      const tile = { top, left, down: Math.min(side, down - top), across: Math.min(side, across - left) };
      tiles.push({ ...tile, hasEmpty: tile.down % 2 > 0 || tile.across % 2 > 0 });
    }
  return tiles;
}

/** Sides shorter than this are refused. */
const SHORTEST = 10;

/**
 * The tiles onto which a picture comes, and its size there: as many as it has pixels for, or, where these are more than
 * `maxTiles`, those whose shape is nearest to its own (transformers 5.24, `Phi4MultimodalImageProcessor`).
 * @throws MEDIA_UNSUPPORTED for a picture that becomes narrower than 10 pixels
 */
export function hdSize(
  { width, height }: PictureSize,
  { side, maxTiles }: Pick<HdSizes, 'side' | 'maxTiles'>,
  what: string,
): { readonly grid: TileGrid; readonly size: PictureSize } {
  const own = { columns: Math.ceil(width / side), rows: Math.ceil(height / side) };
  const isSmall = own.columns * own.rows <= maxTiles;
  const grid = isSmall ? own : tileGrid({ width, height }, { side, minTiles: 1, maxTiles });
  const target = { width: side * grid.columns, height: side * grid.rows };
  const [across, down] = [target.width / width, target.height / height];
  const size =
    across < down
      ? { width: target.width, height: Math.trunc(height * across) }
      : { width: Math.trunc(width * down), height: target.height };
  if (Math.min(size.width, size.height) < SHORTEST)
    throw new AtbError('MEDIA_UNSUPPORTED', {
      what,
      expected: `a picture that is at least ${SHORTEST} pixels high and wide on its tiles`,
      found: `${size.width} x ${size.height} pixels`,
    });
  return { grid, size };
}

/** A picture in the upper left of a white one. */
function onWhite({ width: from, height: rows, data }: Picture, { width, height }: PictureSize): Picture {
  const whole = new Uint8Array(width * height * 3).fill(255);
  for (let y = 0; y < rows; y++) whole.set(data.subarray(y * from * 3, (y + 1) * from * 3), y * width * 3);
  return { width, height, data: whole };
}

/** Patches of a picture on tiles, and of the whole. @throws as `hdSize` */
export function hdPictureOf(picture: Picture, sizes: HdSizes, values: PixelValues, what: string): HdPicture {
  const { side, patchSize } = sizes;
  const { grid: tileCount, size } = hdSize(picture, sizes, what);
  const [wide, high] = [side * tileCount.columns, side * tileCount.rows];
  const canvas = onWhite(resize(picture, size, 'bilinear'), { width: wide, height: high });
  const cut = patchesOf([canvas], values, { patchSize, temporalPatchSize: 1, mergeSize: 1 });
  const [, allDown, allAcross] = cut.grid;
  const grid = [
    allDown - Math.floor((high - size.height) / patchSize),
    allAcross - Math.floor((wide - size.width) / patchSize),
  ] as const;
  const tiles = hdTiles(grid, side / patchSize);
  const perTile = (side / patchSize) ** 2;
  const rows = tiles.reduce((sum, { down, across, hasEmpty }) => sum + down * across + Number(hasEmpty), 0);
  const features = 3 * patchSize * patchSize;
  const data = new Float32Array((rows + perTile) * features);
  let at = 0;
  const add = (patch: number): void => {
    data.set(cut.data.subarray(patch * features, (patch + 1) * features), at);
    at += features;
  };
  for (const { top, left, down, across, hasEmpty } of tiles) {
    for (let y = top; y < top + down; y++) for (let x = left; x < left + across; x++) add(y * allAcross + x);
    // All patches that hold nothing are white; where a tile has one, the last of all is one.
    if (hasEmpty) add(allDown * allAcross - 1);
  }
  data.set(shrunk(cut.data, [allDown, allAcross], sizes), at);
  return { data, rows: rows + perTile, grid };
}

/**
 * All patches of a picture -> those of the same, drawn to one square, as numbers, not as bytes: bicubic, nothing smoothed.
 * [patches, 3 * patchSize * patchSize] both.
 */
function shrunk(
  data: Float32Array,
  [down, across]: readonly [number, number],
  { side, patchSize }: HdSizes,
): Float32Array {
  const [high, wide] = [down * patchSize, across * patchSize];
  const area = patchSize * patchSize;
  const valueAt = (channel: number, y: number, x: number): number => {
    const patch = Math.floor(y / patchSize) * across + Math.floor(x / patchSize);
    return data[(patch * 3 + channel) * area + (y % patchSize) * patchSize + (x % patchSize)] as number;
  };
  const rowsOf = Array.from({ length: side }, (_, y) => cubicPlaces(y, side, high));
  const columnsOf = Array.from({ length: side }, (_, x) => cubicPlaces(x, side, wide));
  const result = new Float32Array(3 * side * side);
  const along = side / patchSize;
  for (const [y, rows] of rowsOf.entries())
    for (const [x, columns] of columnsOf.entries()) {
      const patch = Math.floor(y / patchSize) * along + Math.floor(x / patchSize);
      const within = (y % patchSize) * patchSize + (x % patchSize);
      for (let channel = 0; channel < 3; channel++) {
        let sum = 0;
        for (const row of rows)
          for (const column of columns)
            sum += row.share * column.share * valueAt(channel, row.place, column.place);
        result[(patch * 3 + channel) * area + within] = sum;
      }
    }
  return result;
}
