import { cutOut } from './cut.js';
import type { Picture, PictureSize } from './picture.js';
import { resize } from './resample.js';
import type { SplitPicture } from './splits.js';
import type { TileGrid } from './tiles.js';

/** Onto which canvases pictures are put. */
export interface CanvasSizes {
  /** Pixels along a side of a square. */
  readonly side: number;
  /** Squares of a canvas. */
  readonly maxTiles: number;
  /** Whether pictures are drawn out as far as a canvas lets them; otherwise as little as there are canvases for. */
  readonly fillsCanvas: boolean;
}

/** How much larger a picture may become within a size. In f32, as torch divides integers. */
const scaleWithin = (picture: PictureSize, { width, height }: PictureSize): number =>
  Math.min(Math.fround(width / picture.width), Math.fround(height / picture.height));

/**
 * The canvas on which a picture is drawn out least, or else shrunk least; of several the smallest (transformers 5.24,
 * `get_best_fit` of Llama 4).
 */
export function canvasGrid(picture: PictureSize, { side, maxTiles, fillsCanvas }: CanvasSizes): TileGrid {
  const canvases: (TileGrid & { readonly scale: number })[] = [];
  for (let rows = 1; rows <= maxTiles; rows++)
    for (let columns = 1; columns * rows <= maxTiles; columns++) {
      const scale = scaleWithin(picture, { width: columns * side, height: rows * side });
      canvases.push({ columns, rows, scale });
    }
  const scales = canvases.map(({ scale }) => scale);
  const larger = scales.filter((scale) => scale >= 1);
  const best = larger.length > 0 && !fillsCanvas ? Math.min(...larger) : Math.max(...scales);
  const [smallest] = canvases
    .filter(({ scale }) => scale === best)
    .sort((a, b) => a.columns * a.rows - b.columns * b.rows);
  return { columns: smallest?.columns ?? 1, rows: smallest?.rows ?? 1 };
}

/**
 * The tiles, at most so many, to whose size a picture is drawn out least, or else shrunk least, along the side that is
 * drawn out less; of several grids the smallest (transformers 5.24, `get_optimal_tiled_canvas` of Cohere2Vision).
 */
export function coveringGrid(
  picture: PictureSize,
  { side, maxTiles }: Pick<CanvasSizes, 'side' | 'maxTiles'>,
): TileGrid {
  let best: (TileGrid & { readonly scale: number }) | undefined;
  for (let tiles = 1; tiles <= maxTiles; tiles++)
    for (let columns = 1; columns <= tiles; columns++) {
      if (tiles % columns !== 0) continue;
      const rows = tiles / columns;
      const scale = Math.min((columns * side) / picture.width, (rows * side) / picture.height);
      const isBetter = !best || (best.scale < 1 ? scale > best.scale : scale >= 1 && scale < best.scale);
      if (isBetter) best = { columns, rows, scale };
    }
  return { columns: best?.columns ?? 1, rows: best?.rows ?? 1 };
}

/** Those tiles, row by row, and behind several of them the whole picture as one more, drawn out to a square. */
export function coveringTiles(picture: Picture, sizes: Pick<CanvasSizes, 'side' | 'maxTiles'>): Picture[] {
  const { side } = sizes;
  const { columns, rows } = coveringGrid(picture, sizes);
  const square = { width: side, height: side };
  const drawn = resize(picture, { width: columns * side, height: rows * side }, 'bicubic');
  const tiles = Array.from({ length: columns * rows }, (_, index) =>
    cutOut(drawn, { left: (index % columns) * side, top: Math.floor(index / columns) * side, ...square }),
  );
  return tiles.length === 1 ? tiles : [...tiles, resize(picture, square, 'bicubic')];
}

/** The largest size of a picture's shape within another. */
function shapeWithin(picture: PictureSize, { width, height }: PictureSize): PictureSize {
  const [across, down] = [width / picture.width, height / picture.height];
  const within = (length: number, most: number): number => Math.max(1, Math.min(Math.floor(length), most));
  return across < down
    ? { width, height: within(picture.height * across, height) }
    : { width: within(picture.width * down, width), height };
}

/** A picture at the upper left of one that is black, or of another grey. */
export function onBlack(
  { width: from, height: rows, data }: Picture,
  { width, height }: PictureSize,
  grey = 0,
): Picture {
  const whole = new Uint8Array(width * height * 3).fill(grey);
  for (let y = 0; y < rows; y++) whole.set(data.subarray(y * from * 3, (y + 1) * from * 3), y * width * 3);
  return { width, height, data: whole };
}

/**
 * The squares of a picture's canvas, and behind several of them the whole picture as one more, which is drawn out to a
 * square (transformers 5.24, `Llama4ImageProcessor`).
 */
export function canvasOf(picture: Picture, sizes: CanvasSizes): SplitPicture {
  const { side, fillsCanvas } = sizes;
  const { columns, rows } = canvasGrid(picture, sizes);
  const canvas = { width: columns * side, height: rows * side };
  const upTo = (length: number, most: number): number =>
    fillsCanvas ? most : Math.min(Math.max(length, side), most);
  const room = { width: upTo(picture.width, canvas.width), height: upTo(picture.height, canvas.height) };
  const drawn = onBlack(resize(picture, shapeWithin(picture, room), 'bilinear'), canvas);
  const square = { width: side, height: side };
  if (columns * rows === 1) return { columns: 0, rows: 0, squares: [], whole: drawn };
  const squares = Array.from({ length: columns * rows }, (_, index) =>
    cutOut(drawn, { left: (index % columns) * side, top: Math.floor(index / columns) * side, ...square }),
  );
  return { columns, rows, squares, whole: resize(picture, square, 'bilinear') };
}
