import { cutOut } from './cut.js';
import type { Picture, PictureSize } from './picture.js';
import { checkRatio } from './ratio.js';
import { resize } from './resample.js';

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
