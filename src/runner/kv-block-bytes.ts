import { DTYPE_BYTES, type FloatDType } from '../dtype.js';

const roundUp = (n: number, to: number): number => Math.ceil(n / to) * to;

/**
 * Bytes of one block of one layer, keys and values. The engine stores bf16 in tiles: head_dim is padded to 32 for keys
 * and to 16 for values (native/src/kernels/kv_layout.h).
 */
export function kvBlockBytes(kvHeads: number, headDim: number, dtype: FloatDType, blockSize: number): number {
  const [keys, values] = dtype === 'bf16' ? [roundUp(headDim, 32), roundUp(headDim, 16)] : [headDim, headDim];
  return kvHeads * blockSize * (keys + values) * DTYPE_BYTES[dtype];
}
