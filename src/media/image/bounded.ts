import { onBlack } from './canvas.js';
import type { Picture, PictureSize } from './picture.js';
import { resize } from './resample.js';

/** How large a picture may be, in patches. */
export interface PatchBounds {
  /** Pixels along a side of a patch. */
  readonly patchSize: number;
  /** Patches along a side of a block. */
  readonly mergeSize: number;
  /** All patches, at most; of each side, at most. */
  readonly maxPatches: number;
  readonly maxSide: number;
}

/**
 * The size to which a picture is brought: its own, or smaller with the same ratio of sides (`navit_resize` of transformers
 * 5.24 and of Kimi-K2.5's published processor).
 */
export function boundedSize(
  { width, height }: PictureSize,
  { patchSize, maxPatches, maxSide }: PatchBounds,
): PictureSize {
  const whole = (side: number): number => Math.max(1, Math.floor(side / patchSize));
  const longest = maxSide * patchSize;
  const scale = Math.min(
    1,
    Math.sqrt(maxPatches / (whole(height) * whole(width))),
    longest / height,
    longest / width,
  );
  const scaled = (side: number): number => Math.min(Math.max(1, Math.trunc(side * scale)), longest);
  return { width: scaled(width), height: scaled(height) };
}

/** A picture in that size, with black at its right and below up to whole blocks. */
export function boundedPicture(picture: Picture, bounds: PatchBounds): Picture {
  const { patchSize, mergeSize } = bounds;
  const resized = resize(picture, boundedSize(picture, bounds), 'bicubic');
  const block = patchSize * mergeSize;
  const upTo = (side: number): number => Math.ceil(side / block) * block;
  return onBlack(resized, { width: upTo(resized.width), height: upTo(resized.height) });
}
