import { pythonRound } from '../python-round.js';
import type { PictureSize } from './picture.js';
import type { TileGrid } from './tiles.js';

/** How many patches pictures come to. */
export interface PatchGridSizes {
  /** Pixels along a side of a patch. */
  readonly patchSize: number;
  /** Patches along a side of a block, of which there are whole ones. */
  readonly mergeSize: number;
  readonly minPatches: number;
  readonly maxPatches: number;
}

/**
 * Into how many patches a picture is brought: about as many as it has, within the bounds (transformers 5.24,
 * `get_patch_grid_size` of NemotronH_Omni).
 */
export function patchGrid({ width, height }: PictureSize, sizes: PatchGridSizes): TileGrid {
  const { patchSize, mergeSize, minPatches, maxPatches } = sizes;
  let [rows, columns] = [pythonRound(height / patchSize + 0.5), pythonRound(width / patchSize + 0.5)];
  const shrink = Math.min(Math.sqrt(maxPatches / (rows * columns)), 1);
  // The reference finds no size for pictures so long that nothing would be left of a side.
  [rows, columns] = [Math.max(1, Math.floor(shrink * rows)), Math.max(1, Math.floor(shrink * columns))];
  if (maxPatches > minPatches && rows * columns < minPatches) {
    const grow = Math.sqrt(minPatches / (rows * columns));
    [rows, columns] = [Math.ceil(grow * rows), Math.ceil(grow * columns)];
  }
  // One more where there is room for it, else one less.
  const whole = (along: number, other: number): number => {
    const over = along % mergeSize;
    if (over === 0) return along;
    const more = along + mergeSize - over;
    return more * other <= maxPatches ? more : Math.max(mergeSize, along - over);
  };
  rows = whole(rows, columns);
  return { rows, columns: whole(columns, rows) };
}

/** Into how many patches frames are brought: about `target` in their own shape, or in a square. */
export function frameGrid(
  { width, height }: PictureSize,
  {
    mergeSize,
    target,
    keepsShape,
  }: { readonly mergeSize: number; readonly target: number; readonly keepsShape: boolean },
): TileGrid {
  if (!keepsShape) {
    const side = Math.max(mergeSize, Math.floor(Math.trunc(Math.sqrt(target)) / mergeSize) * mergeSize);
    return { rows: side, columns: side };
  }
  const ratio = width / height;
  const rows = Math.max(pythonRound(Math.sqrt(target / ratio)), 1);
  const columns = Math.max(pythonRound(Math.sqrt(target * ratio)), 1);
  const up = (along: number): number => Math.ceil(along / mergeSize) * mergeSize;
  const down = (along: number): number => Math.max(mergeSize, along - (along % mergeSize));
  return up(rows) * up(columns) <= target
    ? { rows: up(rows), columns: up(columns) }
    : { rows: down(rows), columns: down(columns) };
}
