import { cutOut } from './cut.js';
import type { Picture, PictureSize } from './picture.js';
import { checkRatio } from './ratio.js';
import { resize } from './resample.js';

/** Into which squares pictures are split. */
export interface SplitSizes {
  /** Pixels along the longer side of what is split. */
  readonly longest: number;
  /** Pixels along a side of a square. */
  readonly side: number;
  /** Whether pictures are split at all. */
  readonly splits: boolean;
}

/** A picture's squares, row by row, and the whole as one more; without squares it is the whole alone. */
export interface SplitPicture {
  readonly columns: number;
  readonly rows: number;
  readonly squares: readonly Picture[];
  readonly whole: Picture;
}

/** Pictures never get longer (transformers 5.24, `MAX_IMAGE_SIZE` of Idefics 3). */
const MAX_SIDE = 4096;

/** The longer side becomes that long, the other an even number of pixels at least as long as it should be. */
function longerTo({ width, height }: PictureSize, longest: number): PictureSize {
  const ratio = width / height;
  const even = (length: number): number => Math.max(1, length + (length % 2));
  return width >= height
    ? { width: longest, height: even(Math.trunc(longest / ratio)) }
    : { width: even(Math.trunc(longest * ratio)), height: longest };
}

function belowMost({ width, height }: PictureSize): PictureSize {
  const ratio = width / height;
  if (width >= height && width > MAX_SIDE)
    return { width: MAX_SIDE, height: Math.max(1, Math.trunc(MAX_SIDE / ratio)) };
  if (height > width && height > MAX_SIDE)
    return { width: Math.max(1, Math.trunc(MAX_SIDE * ratio)), height: MAX_SIDE };
  return { width, height };
}

/** Both sides become multiples of a square's. */
function wholeSquares({ width, height }: PictureSize, side: number): PictureSize {
  const ratio = width / height;
  const up = (length: number): number => Math.ceil(length / side) * side;
  return width >= height
    ? { width: up(width), height: up(Math.trunc(up(width) / ratio)) }
    : { width: up(Math.trunc(up(height) * ratio)), height: up(height) };
}

/**
 * Splits a picture as Idefics 3 does it (transformers 5.24, `Idefics3ImageProcessorPil`): each of three sizes is made of the one
 * before.
 * @throws MEDIA_UNSUPPORTED for a picture that is more than 200 times as long as it is wide
 */
export function splitsOf(
  picture: Picture,
  { longest, side, splits }: SplitSizes,
  what: string,
): SplitPicture {
  checkRatio(picture, what);
  const square = { width: side, height: side };
  const first = resize(picture, belowMost(longerTo(picture, longest)), 'lanczos');
  if (!splits) return { columns: 0, rows: 0, squares: [], whole: resize(first, square, 'lanczos') };
  const cut = resize(first, wholeSquares(first, side), 'lanczos');
  const [columns, rows] = [cut.width / side, cut.height / side];
  if (columns * rows === 1) return { columns: 0, rows: 0, squares: [], whole: cut };
  const squares = Array.from({ length: columns * rows }, (_, index) =>
    cutOut(cut, { left: (index % columns) * side, top: Math.floor(index / columns) * side, ...square }),
  );
  return { columns, rows, squares, whole: resize(cut, square, 'lanczos') };
}
