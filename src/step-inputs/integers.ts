import type { Tensor } from '../dtype.js';

/** [n]. The values become the low words of little-endian 64-bit integers: they are small, and BigInt arithmetic is slow. */
export function int64(values: Int32Array): Tensor<'i64'> {
  const words = new Int32Array(values.length * 2);
  for (let i = 0; i < values.length; i++) words[2 * i] = values[i] as number;
  return { dtype: 'i64', shape: [values.length], data: new BigInt64Array(words.buffer) };
}

/** [n], or the given shape. */
export const int32 = (data: Int32Array, shape = [data.length]): Tensor<'i32'> => ({
  dtype: 'i32',
  shape,
  data,
});
