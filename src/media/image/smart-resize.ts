import { AtbError } from '../../errors.js';
import { pythonRound } from '../python-round.js';
import type { PictureSize } from './picture.js';

/** What sizes a model reads. */
export interface PixelRange {
  /** Sides are multiples of it. */
  readonly factor: number;
  /** Width times height. */
  readonly minPixels: number;
  readonly maxPixels: number;
}

/** Of the longer side by the shorter one. */
const MAX_RATIO = 200;

/**
 * The size to which a picture is brought before it is cut into patches: the ratio of its sides kept as nearly as multiples
 * of `factor` allow (transformers 5.24, `smart_resize` of Qwen2-VL).
 * @throws MEDIA_UNSUPPORTED for a picture that is more than 200 times as long as it is wide
 */
export function smartResize(
  { width, height }: PictureSize,
  { factor, minPixels, maxPixels }: PixelRange,
  what: string,
): PictureSize {
  if (Math.max(width, height) / Math.min(width, height) > MAX_RATIO)
    throw new AtbError('MEDIA_UNSUPPORTED', {
      what,
      expected: `sides whose ratio is at most ${MAX_RATIO}`,
      found: `${width} x ${height} pixels`,
    });
  const nearest = (side: number) => pythonRound(side / factor) * factor;
  const pixels = nearest(width) * nearest(height);
  if (pixels > maxPixels) {
    const shrink = Math.sqrt((height * width) / maxPixels);
    const below = (side: number) => Math.max(factor, Math.floor(side / shrink / factor) * factor);
    return { width: below(width), height: below(height) };
  }
  if (pixels >= minPixels) return { width: nearest(width), height: nearest(height) };
  const grow = Math.sqrt(minPixels / (height * width));
  const above = (side: number) => Math.ceil((side * grow) / factor) * factor;
  return { width: above(width), height: above(height) };
}
