/** Patches of frames in the order of windows. */
export interface WindowedPatches {
  /** [patches]: for each place which patch it is, among those that come block by block. */
  readonly order: Int32Array;
  /** Patches of each window, in order. */
  readonly lens: Int32Array;
}

/**
 * Cuts frames of rows x columns patches into windows of `windowBlocks` x `windowBlocks` blocks, row by row; those at the
 * right and below may be smaller. Blocks are `mergeSize` patches wide and high, and stay together.
 */
export function windowsOf(
  [frames, rows, columns]: readonly [frames: number, rows: number, columns: number],
  mergeSize: number,
  windowBlocks: number,
): WindowedPatches {
  const area = mergeSize * mergeSize;
  const [high, wide] = [rows / mergeSize, columns / mergeSize];
  const order = new Int32Array(frames * rows * columns);
  const lens: number[] = [];
  let at = 0;
  for (let frame = 0; frame < frames; frame++)
    for (let top = 0; top < high; top += windowBlocks)
      for (let left = 0; left < wide; left += windowBlocks) {
        const begin = at;
        for (let y = top; y < Math.min(top + windowBlocks, high); y++)
          for (let x = left; x < Math.min(left + windowBlocks, wide); x++)
            for (let patch = 0; patch < area; patch++)
              order[at++] = ((frame * high + y) * wide + x) * area + patch;
        lens.push(at - begin);
      }
  return { order, lens: Int32Array.from(lens) };
}
