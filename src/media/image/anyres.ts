import { pythonFloorDivision, pythonRound } from '../python-round.js';
import { cutOut } from './cut.js';
import type { Picture, PictureSize } from './picture.js';
import { checkRatio } from './ratio.js';
import { resize } from './resample.js';
import type { TileGrid } from './tiles.js';

/** Onto which canvases pictures are put, and how these are cut. */
export interface AnyresSizes {
  /** Pixels along a side of a tile. */
  readonly side: number;
  /** Sizes of canvases in pixels, whole tiles each. */
  readonly canvases: readonly PictureSize[];
}

/** A picture as one square and as the tiles of its canvas, row by row. */
export interface AnyresPicture extends TileGrid {
  readonly whole: Picture;
  readonly tiles: readonly Picture[];
}

/**
 * The canvas on which most of a picture's pixels are left, of several that on which least is empty (transformers 5.24,
 * `select_best_resolution`).
 */
export function bestCanvas(picture: PictureSize, canvases: readonly PictureSize[]): PictureSize {
  let best: PictureSize | undefined;
  let [mostKept, leastEmpty] = [0, Number.POSITIVE_INFINITY];
  for (const canvas of canvases) {
    const { width, height } = canvas;
    const scale = Math.min(width / picture.width, height / picture.height);
    const drawn = Math.trunc(picture.width * scale) * Math.trunc(picture.height * scale);
    const kept = Math.min(drawn, picture.width * picture.height);
    const empty = width * height - kept;
    if (kept > mostKept || (kept === mostKept && empty < leastEmpty))
      [best, mostKept, leastEmpty] = [canvas, kept, empty];
  }
  return best ?? picture;
}

/** The largest size of a picture's shape within another (transformers 5.24, `get_patch_output_size`). */
function shapeWithin(picture: PictureSize, { width, height }: PictureSize): PictureSize {
  const [across, down] = [width / picture.width, height / picture.height];
  return across < down
    ? { width, height: Math.min(Math.ceil(picture.height * across), height) }
    : { width: Math.min(Math.ceil(picture.width * down), width), height };
}

/** A picture in the middle of one of a single colour. */
export function inMiddle(
  { width: from, height: rows, data }: Picture,
  { width, height }: PictureSize,
  colour: readonly number[] = [0, 0, 0],
): Picture {
  const whole = new Uint8Array(width * height * 3);
  for (let at = 0; at < whole.length; at++) whole[at] = colour[at % 3] ?? 0;
  const [left, top] = [Math.floor((width - from) / 2), Math.floor((height - rows) / 2)];
  for (let y = 0; y < rows; y++)
    whole.set(data.subarray(y * from * 3, (y + 1) * from * 3), ((top + y) * width + left) * 3);
  return { width, height, data: whole };
}

/**
 * A picture drawn out to a square, and in its own shape in the middle of the canvas that fits it best, cut into squares
 * (transformers 5.24, `LlavaNextImageProcessorPil`).
 */
export function anyresOf(picture: Picture, { side, canvases }: AnyresSizes): AnyresPicture {
  const canvas = bestCanvas(picture, canvases);
  const drawn = inMiddle(resize(picture, shapeWithin(picture, canvas), 'bicubic'), canvas);
  const square = { width: side, height: side };
  const [columns, rows] = [canvas.width / side, canvas.height / side];
  const tiles = Array.from({ length: columns * rows }, (_, index) =>
    cutOut(drawn, { left: (index % columns) * side, top: Math.floor(index / columns) * side, ...square }),
  );
  return { columns, rows, tiles, whole: resize(picture, square, 'bicubic') };
}

/** A picture in the middle of the smallest square of a colour around it, drawn to another size. */
export function paddedSquare(picture: Picture, side: number, colour: readonly number[]): Picture {
  const longer = Math.max(picture.width, picture.height);
  const square = inMiddle(picture, { width: longer, height: longer }, colour);
  return resize(square, { width: side, height: side }, 'bicubic');
}

/**
 * A picture in its own shape as large as a square, on a colour around it (transformers 5.24, `DeepseekOcr2ImageProcessor`).
 * @throws MEDIA_UNSUPPORTED for a picture that is more than 200 times as long as it is wide
 */
export function framedSquare(
  picture: Picture,
  side: number,
  colour: readonly number[],
  what: string,
): Picture {
  checkRatio(picture, what);
  const scale = side / Math.max(picture.width, picture.height);
  const drawn = (length: number): number => Math.max(1, pythonRound(length * scale));
  const size = { width: drawn(picture.width), height: drawn(picture.height) };
  return inMiddle(resize(picture, size, 'bicubic'), { width: side, height: side }, colour);
}

/** A part of a canvas, in patches. */
export interface PatchWindow {
  readonly top: number;
  readonly left: number;
  readonly rows: number;
  readonly columns: number;
}

/** As Python rounds to seven digits before it cuts off the rest. */
const sevenDigits = (value: number): number => Math.trunc(Number(value.toFixed(7)));

/**
 * The part of a canvas of `rows` x `columns` patches that a picture covers, but for one that it shares with what is
 * empty (transformers 5.24, `unpad_image`).
 */
export function coveredPart(
  { width, height }: PictureSize,
  { rows, columns }: Pick<PatchWindow, 'rows' | 'columns'>,
): PatchWindow {
  if (width / height > columns / rows) {
    const top = Math.floor((rows - sevenDigits(height * (columns / width))) / 2);
    return { top, left: 0, rows: rows - 2 * top, columns };
  }
  const left = Math.floor((columns - sevenDigits(width * (rows / height))) / 2);
  return { top: 0, left, rows, columns: columns - 2 * left };
}

/**
 * To how many rows and columns a window shrinks that has more patches than `most`, by more than a tenth along each side
 * (arXiv:2408.03326, section 3.1; transformers 5.24, `LlavaOnevisionModel.pack_image_features`).
 */
export function shrunkWindow(
  { rows, columns }: Pick<PatchWindow, 'rows' | 'columns'>,
  most: number,
): Pick<PatchWindow, 'rows' | 'columns'> {
  const ratio = Math.sqrt((rows * columns) / most);
  if (ratio <= 1.1) return { rows, columns };
  return { rows: pythonFloorDivision(rows, ratio), columns: pythonFloorDivision(columns, ratio) };
}
