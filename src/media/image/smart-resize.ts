import { AtbError } from '../../errors.js';
import { pythonRound } from '../python-round.js';
import type { PictureSize } from './picture.js';
import { checkRatio } from './ratio.js';

/** What sizes a model reads. */
export interface PixelRange {
  /** Sides are multiples of it. */
  readonly factor: number;
  /** Width times height, of a video times the number of its frames. */
  readonly minPixels: number;
  readonly maxPixels: number;
}

/** Frames of a video, and how many they count as where sizes are rounded. */
interface FrameCount {
  readonly count: number;
  readonly counted: number;
}

const ONE: FrameCount = { count: 1, counted: 1 };

/**
 * The size to which a picture is brought before it is cut into patches: the ratio of its sides kept as nearly as multiples
 * of `factor` allow (transformers 5.24, `smart_resize` of Qwen2-VL).
 * @throws MEDIA_UNSUPPORTED for a picture that is more than 200 times as long as it is wide
 */
export function smartResize(
  { width, height }: PictureSize,
  { factor, minPixels, maxPixels }: PixelRange,
  what: string,
  { count, counted }: FrameCount = ONE,
): PictureSize {
  checkRatio({ width, height }, what);
  const nearest = (side: number) => pythonRound(side / factor) * factor;
  const pixels = counted * nearest(width) * nearest(height);
  if (pixels > maxPixels) {
    const shrink = Math.sqrt((count * height * width) / maxPixels);
    const below = (side: number) => Math.max(factor, Math.floor(side / shrink / factor) * factor);
    return { width: below(width), height: below(height) };
  }
  if (pixels >= minPixels) return { width: nearest(width), height: nearest(height) };
  const grow = Math.sqrt(minPixels / (count * height * width));
  const above = (side: number) => Math.ceil((side * grow) / factor) * factor;
  return { width: above(width), height: above(height) };
}

/**
 * The same where sides shorter than `factor` grow to it first, the longer one with the shorter (transformers 5.24,
 * `smart_resize` of PaddleOCR-VL).
 * @throws MEDIA_UNSUPPORTED as for a picture, of the size that it has then
 */
export function smartResizeGrown(size: PictureSize, range: PixelRange, what: string): PictureSize {
  const { factor } = range;
  let { width, height } = size;
  if (height < factor) [width, height] = [pythonRound((width * factor) / height), factor];
  if (width < factor) [width, height] = [factor, pythonRound((height * factor) / width)];
  return smartResize({ width, height }, range, what);
}

/**
 * The same for `frames` of a video, of which `pairSize` share their patches: sides shorter than `factor` grow to it first
 * (transformers 5.24, `smart_resize` of Qwen3-VL).
 * @throws MEDIA_UNSUPPORTED as for a picture, and for fewer frames than share their patches
 */
export function smartResizeFrames(
  size: PictureSize,
  { frames, pairSize }: { readonly frames: number; readonly pairSize: number },
  range: PixelRange,
  what: string,
): PictureSize {
  if (frames < pairSize)
    throw new AtbError('MEDIA_UNSUPPORTED', {
      what,
      expected: `at least ${pairSize} frames`,
      found: `${frames}`,
    });
  const grow = Math.max(1, range.factor / size.width, range.factor / size.height);
  const grown = { width: Math.trunc(size.width * grow), height: Math.trunc(size.height * grow) };
  return smartResize(grown, range, what, {
    count: frames,
    counted: pythonRound(frames / pairSize) * pairSize,
  });
}
