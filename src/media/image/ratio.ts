import { AtbError } from '../../errors.js';
import type { PictureSize } from './picture.js';

/** Of the longer side by the shorter one: beyond, hardly anything would be left of a picture. */
const MAX_RATIO = 200;

/** @throws MEDIA_UNSUPPORTED for a picture that is more than 200 times as long as it is wide */
export function checkRatio({ width, height }: PictureSize, what: string): void {
  if (Math.max(width, height) / Math.min(width, height) > MAX_RATIO)
    throw new AtbError('MEDIA_UNSUPPORTED', {
      what,
      expected: `sides whose ratio is at most ${MAX_RATIO}`,
      found: `${width} x ${height} pixels`,
    });
}
