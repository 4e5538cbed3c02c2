import type { PictureSize } from './picture.js';

/** How many patches a picture may become. */
export interface PatchBudget {
  readonly patchSize: number;
  /** Patches along a side of a block, which becomes one token. */
  readonly mergeSize: number;
  /** At most. */
  readonly tokens: number;
}

/**
 * The size to which a picture is brought, smaller or larger: the ratio of its sides kept, as many whole blocks as there
 * may be; at least one on each side (transformers 5.24, `get_aspect_ratio_preserving_size` of Gemma 4).
 */
export function fitBlocks(
  { width, height }: PictureSize,
  { patchSize, mergeSize, tokens }: PatchBudget,
): PictureSize {
  const block = patchSize * mergeSize;
  const factor = Math.sqrt((tokens * mergeSize ** 2 * patchSize ** 2) / (height * width));
  const [rows, columns] = [height, width].map((side) => Math.floor((factor * side) / block)) as [
    number,
    number,
  ];
  const along = (long: number, short: number): number => Math.min(Math.floor(long / short), tokens);
  if (rows === 0) return { width: along(width, height) * block, height: block };
  if (columns === 0) return { width: block, height: along(height, width) * block };
  return { width: columns * block, height: rows * block };
}
