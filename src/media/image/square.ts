import { AtbError } from '../../errors.js';
import type { Picture } from './picture.js';
import { resize } from './resample.js';
import { squareOf } from './tiles.js';

/** Of the longer side by the shorter one: beyond, hardly anything would be left of a picture. */
const MAX_RATIO = 200;

/**
 * The middle of a picture as a square: its shorter side becomes `shortest`, then `side` is cut out (transformers 5.24,
 * `CLIPImageProcessor`).
 * @throws MEDIA_UNSUPPORTED for a picture that is more than 200 times as long as it is wide
 */
export function middleSquare(picture: Picture, shortest: number, side: number, what: string): Picture {
  const { width, height } = picture;
  const [short, long] = [Math.min(width, height), Math.max(width, height)];
  if (long / short > MAX_RATIO)
    throw new AtbError('MEDIA_UNSUPPORTED', {
      what,
      expected: `sides whose ratio is at most ${MAX_RATIO}`,
      found: `${width} x ${height} pixels`,
    });
  const other = Math.trunc((shortest * long) / short);
  const size = width <= height ? { width: shortest, height: other } : { width: other, height: shortest };
  const [top, left] = [Math.floor((size.height - side) / 2), Math.floor((size.width - side) / 2)];
  return squareOf(resize(picture, size, 'bicubic'), left, top, side);
}
