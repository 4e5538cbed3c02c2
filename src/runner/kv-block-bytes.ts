import { DTYPE_BYTES, type FloatDType } from '../dtype.js';

const roundUp = (n: number, to: number): number => Math.ceil(n / to) * to;

/** Beside the integers of one token and head. */
const SCALE_BYTES = 4;

/**
 * Bytes of one block of one layer, keys and values. The engine stores bf16 and integers in tiles: head_dim is padded to 32
 * for keys of bf16 and to 16 for values (native/src/kernels/kv_layout.h).
 */
export function kvBlockBytes(
  kvHeads: number,
  headDim: number,
  dtype: FloatDType | 'i8',
  blockSize: number,
): number {
  const keys = dtype === 'bf16' ? roundUp(headDim, 32) : headDim;
  const values = dtype === 'bf16' || dtype === 'i8' ? roundUp(headDim, 16) : headDim;
  const scales = dtype === 'i8' ? 2 * SCALE_BYTES : 0;
  return kvHeads * blockSize * ((keys + values) * DTYPE_BYTES[dtype] + scales);
}
