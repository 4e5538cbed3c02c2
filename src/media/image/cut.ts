import type { Picture, PictureSize } from './picture.js';

/** A rectangle within a picture, in pixels. */
export interface Cut extends PictureSize {
  readonly left: number;
  readonly top: number;
}

/** That part of a picture, as a picture. */
export function cutOut({ width: from, data }: Picture, { left, top, width, height }: Cut): Picture {
  const cut = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    const start = ((top + y) * from + left) * 3;
    cut.set(data.subarray(start, start + width * 3), y * width * 3);
  }
  return { width, height, data: cut };
}
