import { dirname } from 'node:path';
import type { CheckpointTensor } from './checkpoint.js';
import { readExactly, readRegularFile } from './regular-file.js';

/** A tensor with NaN or infinities. */
export interface NotFiniteTensor {
  readonly name: string;
  /** How many. */
  readonly count: number;
}

/** How each type tells them: all bits of the exponent are set. Numbers of four bytes at most. */
const EXPONENT: Readonly<Record<string, { readonly bytes: 2 | 4; readonly mask: number }>> = {
  F32: { bytes: 4, mask: 0x7f800000 },
  F16: { bytes: 2, mask: 0x7c00 },
  BF16: { bytes: 2, mask: 0x7f80 },
};
const PIECE_BYTES = 1 << 22;

/**
 * The tensors of a checkpoint whose floats (F32, F16, BF16) are not all finite. Reads every one of them from its file.
 * Throws WEIGHT_FILE_* as reading does.
 */
export async function notFiniteTensors(
  tensors: ReadonlyMap<string, CheckpointTensor>,
): Promise<NotFiniteTensor[]> {
  const found: NotFiniteTensor[] = [];
  for (const [name, tensor] of tensors) {
    const count = await countIn(tensor);
    if (count > 0) found.push({ name, count });
  }
  return found;
}

async function countIn({ file, offset, bytes, dtype }: CheckpointTensor): Promise<number> {
  const kind = EXPONENT[dtype];
  if (kind === undefined || bytes === 0) return 0;
  const buffer = new ArrayBuffer(Math.min(bytes, PIECE_BYTES));
  const numbers = kind.bytes === 2 ? new Uint16Array(buffer) : new Int32Array(buffer);
  return readRegularFile(file, dirname(file), async (handle, stamp) => {
    let count = 0;
    for (let at = 0; at < bytes; at += PIECE_BYTES) {
      const size = Math.min(PIECE_BYTES, bytes - at);
      await readExactly(handle, stamp, Buffer.from(buffer), 0, size, offset + at);
      for (let i = 0; i < size / kind.bytes; i++) {
        if (((numbers[i] as number) & kind.mask) === kind.mask) count++;
      }
    }
    return count;
  });
}
