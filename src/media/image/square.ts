import { cutOut } from './cut.js';
import type { Picture } from './picture.js';
import { checkRatio } from './ratio.js';
import { resize } from './resample.js';

/**
 * The middle of a picture as a square: its shorter side becomes `shortest`, then `side` is cut out (transformers 5.24,
 * `CLIPImageProcessor`).
 * @throws MEDIA_UNSUPPORTED for a picture that is more than 200 times as long as it is wide
 */
export function middleSquare(picture: Picture, shortest: number, side: number, what: string): Picture {
  const { width, height } = picture;
  const [short, long] = [Math.min(width, height), Math.max(width, height)];
  checkRatio(picture, what);
  const other = Math.trunc((shortest * long) / short);
  const size = width <= height ? { width: shortest, height: other } : { width: other, height: shortest };
  const [top, left] = [Math.floor((size.height - side) / 2), Math.floor((size.width - side) / 2)];
  return cutOut(resize(picture, size, 'bicubic'), { left, top, width: side, height: side });
}
