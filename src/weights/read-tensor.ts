import { dirname } from 'node:path';
import type { DType, DTypeArray, Tensor } from '../dtype.js';
import { DTYPE_BYTES, elementCount, isFloat, toDType, toFloat32 } from '../dtype.js';
import { AtbError } from '../errors.js';
import type { ConstantPart, FilePart } from '../native/binding.js';
import { partRows, partShape } from './part-rows.js';
import { readExactly, readRegularFile } from './regular-file.js';
import type { TensorRef } from './weights.js';

const VIEW: { readonly [D in DType]: (buffer: ArrayBuffer) => DTypeArray[D] } = {
  f32: (buffer) => new Float32Array(buffer),
  f16: (buffer) => new Uint16Array(buffer),
  bf16: (buffer) => new Uint16Array(buffer),
  i8: (buffer) => new Int8Array(buffer),
  u8: (buffer) => new Uint8Array(buffer),
  i32: (buffer) => new Int32Array(buffer),
  i64: (buffer) => new BigInt64Array(buffer),
  e4m3: (buffer) => new Uint8Array(buffer),
  e8m0: (buffer) => new Uint8Array(buffer),
};

/**
 * Reads a weight's values into JavaScript, changed as its parts say, for experiments and tools; the engine reads its own.
 * Throws WEIGHT_NOT_FOUND for a declared weight, WEIGHT_DTYPE_UNSUPPORTED when the parts' element types differ, and
 * WEIGHT_FILE_* when a file no longer holds what its header said.
 */
export async function readTensor(ref: TensorRef): Promise<Tensor> {
  const { name, dtype, shape, parts } = ref;
  if (parts.length === 0) throw new AtbError('WEIGHT_NOT_FOUND', { name, expected: shape });
  const bytes = new Uint8Array(elementCount(shape) * DTYPE_BYTES[dtype]);
  let at = 0;
  for (const part of parts) {
    const { data } = part.file === undefined ? constantTensor(part, ref) : await readPart(part, ref);
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  return { dtype, shape, data: VIEW[dtype](bytes.buffer) };
}

function constantTensor({ value, shape }: ConstantPart, { dtype }: TensorRef): Tensor {
  return toDType(new Float32Array(elementCount(shape)).fill(value), shape, isFloat(dtype) ? dtype : 'f32');
}

async function readPart(part: FilePart, { name, dtype }: TensorRef): Promise<Tensor> {
  const { file, offset, shape } = part;
  if (part.dtype !== dtype || part.words || part.codes || part.blocks || part.rowFactors)
    throw new AtbError('WEIGHT_DTYPE_UNSUPPORTED', { name, file, found: part.dtype, supported: [dtype] });
  const size = part.doubles ? Float64Array.BYTES_PER_ELEMENT : DTYPE_BYTES[dtype];
  const read = new Uint8Array(elementCount(shape) * size);
  await readRegularFile(file, dirname(file), (handle, stamp) =>
    readExactly(handle, stamp, Buffer.from(read.buffer), 0, read.length, offset),
  );
  const stored = part.doubles
    ? new Uint8Array(Float32Array.from(new Float64Array(read.buffer)).buffer)
    : read;
  const tensor: Tensor = {
    dtype,
    shape: partShape(part),
    data: VIEW[dtype](arranged(part, stored).buffer),
  };
  const { unitRows = false, times = 1, plus = 0 } = part;
  if (!isFloat(dtype) || (!unitRows && times === 1 && plus === 0)) return tensor;
  // As the engine does it: f32, rounded after each operation.
  const [factor, addend] = [Math.fround(times), Math.fround(plus)];
  const stored32 = toFloat32(tensor);
  const values = unitRows ? withUnitRows(stored32, elementCount(tensor.shape.slice(1))) : stored32;
  const changed = values.map((value) => Math.fround(value * factor) + addend);
  return toDType(changed, tensor.shape, dtype);
}

function withUnitRows(values: Float32Array, columns: number): Float32Array {
  return values.map((value, i) => {
    const first = i - (i % columns);
    const squares = values.subarray(first, first + columns).reduce((sum, x) => sum + x * x, 0);
    return value / Math.max(Math.fround(Math.sqrt(squares)), Math.fround(1e-12));
  });
}

/** The bytes of a part's rows, in their order, out of those of its tensor. */
function arranged(part: FilePart, stored: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const { rowOrder, transposed = false } = part;
  if (rowOrder === undefined && !transposed) return stored;
  const size = DTYPE_BYTES[part.dtype];
  const rows = partRows(part);
  const columns = elementCount(partShape(part).slice(1));
  const storedColumns = elementCount(part.shape.slice(1));
  const result = new Uint8Array(rows * columns * size);
  for (let row = 0; row < rows; row++) {
    const from = rowOrder?.[row] ?? row;
    for (let column = 0; column < columns; column++) {
      const element = transposed ? column * storedColumns + from : from * storedColumns + column;
      result.set(stored.subarray(element * size, (element + 1) * size), (row * columns + column) * size);
    }
  }
  return result;
}
