import { dirname } from 'node:path';
import type { DType, DTypeArray, Tensor } from '../dtype.js';
import { DTYPE_BYTES, elementCount } from '../dtype.js';
import { AtbError } from '../errors.js';
import { readExactly, readRegularFile } from './regular-file.js';
import { type TensorRef, weightBytes } from './weights.js';

const VIEW: { readonly [D in DType]: (buffer: ArrayBuffer) => DTypeArray[D] } = {
  f32: (buffer) => new Float32Array(buffer),
  f16: (buffer) => new Uint16Array(buffer),
  bf16: (buffer) => new Uint16Array(buffer),
  i8: (buffer) => new Int8Array(buffer),
  u8: (buffer) => new Uint8Array(buffer),
  i32: (buffer) => new Int32Array(buffer),
  i64: (buffer) => new BigInt64Array(buffer),
};

/**
 * Reads a weight's values into JavaScript, for experiments and tools; the engine reads its own. Throws WEIGHT_NOT_FOUND
 * for a declared weight, WEIGHT_DTYPE_UNSUPPORTED when the parts' element types differ, and WEIGHT_FILE_* when a file
 * no longer holds what its header said.
 */
export async function readTensor(ref: TensorRef): Promise<Tensor> {
  const { name, dtype, shape, parts } = ref;
  if (parts.length === 0) throw new AtbError('WEIGHT_NOT_FOUND', { name, expected: shape });
  const other = parts.find((part) => part.dtype !== dtype);
  if (other !== undefined) {
    const { file, dtype: found } = other;
    throw new AtbError('WEIGHT_DTYPE_UNSUPPORTED', { name, file, found, supported: [dtype] });
  }
  const buffer = new ArrayBuffer(weightBytes(ref));
  let at = 0;
  for (const { file, offset, shape: rows } of parts) {
    const target = Buffer.from(buffer, at, elementCount(rows) * DTYPE_BYTES[dtype]);
    await readRegularFile(file, dirname(file), (handle, stamp) =>
      readExactly(handle, stamp, target, 0, target.length, offset),
    );
    at += target.length;
  }
  return { dtype, shape, data: VIEW[dtype](buffer) };
}
