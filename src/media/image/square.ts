import { pythonRound } from '../python-round.js';
import { inMiddle } from './anyres.js';
import { cutOut } from './cut.js';
import type { Picture, PictureSize } from './picture.js';
import { checkRatio } from './ratio.js';
import { type ResamplingFilter, resize } from './resample.js';

/**
 * The middle of a picture as a square: it comes to a size, or to one whose shorter side is that long, then `side` is cut out
 * (transformers 5.24, `CLIPImageProcessor`).
 * @throws MEDIA_UNSUPPORTED for a picture that is more than 200 times as long as it is wide
 */
export function middleSquare(
  picture: Picture,
  resized: number | PictureSize,
  side: number,
  what: string,
): Picture {
  checkRatio(picture, what);
  const size = typeof resized === 'number' ? sizeByShorter(picture, resized) : resized;
  const [top, left] = [Math.floor((size.height - side) / 2), Math.floor((size.width - side) / 2)];
  return cutOut(resize(picture, size, 'bicubic'), { left, top, width: side, height: side });
}

function sizeByShorter({ width, height }: PictureSize, shortest: number): PictureSize {
  const other = Math.trunc((shortest * Math.max(width, height)) / Math.min(width, height));
  return width <= height ? { width: shortest, height: other } : { width: other, height: shortest };
}

/** How pictures come to a square whatever their shape is. */
export interface FittedSize {
  /** Pixels along a side of the square. */
  readonly side: number;
  /** The least that the shorter side of a picture becomes in it. */
  readonly minSide: number;
  /** Of what the picture leaves free: 3 numbers from 0 to 255. */
  readonly colour: readonly number[];
  readonly filter: ResamplingFilter;
}

/**
 * A picture in its own shape, as large as a square lets it be, in its middle (transformers 5.24,
 * `JanusImageProcessorPil`).
 */
export function fittedSquare(picture: Picture, { side, minSide, colour, filter }: FittedSize): Picture {
  const { width, height } = picture;
  const scale = side / Math.max(width, height);
  const sideOf = (length: number): number => Math.max(pythonRound(length * scale), minSide);
  const size = { width: sideOf(width), height: sideOf(height) };
  return inMiddle(resize(picture, size, filter), { width: side, height: side }, colour);
}
