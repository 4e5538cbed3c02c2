import { cutOut } from './cut.js';
import type { Picture } from './picture.js';

/** When long pictures are cut in pieces, and in how many. */
export interface ScanLimits {
  /** Pixels along a side of a piece, at least. */
  readonly minSide: number;
  readonly maxPieces: number;
  /** Of the longer side by the shorter one, at least. */
  readonly minRatio: number;
}

/**
 * The pieces of a long picture along its longer side, in order; none of one that is not long enough (transformers 5.24,
 * `pan_and_scan` of Gemma 3).
 */
export function scanOf(picture: Picture, { minSide, maxPieces, minRatio }: ScanLimits): Picture[] {
  const { width, height } = picture;
  const [longer, shorter] = [Math.max(width, height), Math.min(width, height)];
  if (longer / shorter < minRatio) return [];
  const wanted = Math.min(Math.floor(longer / minSide), Math.floor(longer / shorter + 0.5));
  const count = Math.min(maxPieces, Math.max(2, wanted));
  const length = Math.ceil(longer / count);
  if (Math.min(length, shorter) < minSide) return [];
  // As many as have pixels.
  return Array.from({ length: Math.min(count, Math.ceil(longer / length)) }, (_, piece) => {
    const [from, size] = [piece * length, Math.min(length, longer - piece * length)];
    return width >= height
      ? cutOut(picture, { left: from, top: 0, width: size, height })
      : cutOut(picture, { left: 0, top: from, width, height: size });
  });
}
