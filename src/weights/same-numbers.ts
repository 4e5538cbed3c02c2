import { dirname } from 'node:path';
import type { CheckpointTensor } from './checkpoint.js';
import { readExactly, readRegularFile } from './regular-file.js';

const CHUNK_BYTES = 4 * 2 ** 20;

/** Whether two tensors of a checkpoint hold the same bytes as the same dtype and shape. Reads both, up to a difference. Throws WEIGHT_FILE_*. */
export function haveSameNumbers(a: CheckpointTensor, b: CheckpointTensor): Promise<boolean> {
  if (a.dtype !== b.dtype || a.bytes !== b.bytes || String(a.shape) !== String(b.shape))
    return Promise.resolve(false);
  return readRegularFile(a.file, dirname(a.file), (first, firstStamp) =>
    readRegularFile(b.file, dirname(b.file), async (second, secondStamp) => {
      const left = Buffer.allocUnsafe(Math.min(a.bytes, CHUNK_BYTES));
      const right = Buffer.allocUnsafe(left.length);
      for (let done = 0; done < a.bytes; done += left.length) {
        const length = Math.min(left.length, a.bytes - done);
        await readExactly(first, firstStamp, left, 0, length, a.offset + done);
        await readExactly(second, secondStamp, right, 0, length, b.offset + done);
        if (left.compare(right, 0, length, 0, length) !== 0) return false;
      }
      return true;
    }),
  );
}
