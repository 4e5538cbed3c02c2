import { DTYPE_BYTES, type FloatDType } from '../dtype.js';
import type { KvCacheDesc } from '../native/binding.js';

const roundUp = (n: number, to: number): number => Math.ceil(n / to) * to;

/** Beside the integers of one token and head. */
const SCALE_BYTES = 4;

/**
 * Bytes of one block of all caches together. The engine stores bf16 and integers in tiles: a head is padded to 32 numbers
 * in keys of bf16 and to 16 in values (native/src/kernels/kv_layout.h).
 */
export function kvBlockBytes(
  caches: readonly KvCacheDesc[],
  dtype: FloatDType | 'i8',
  blockSize: number,
): number {
  const isTiled = dtype === 'bf16' || dtype === 'i8';
  const scale = dtype === 'i8' ? SCALE_BYTES : 0;
  return caches.reduce((sum, { value, heads, keySize, valueSize }) => {
    const keys = (dtype === 'bf16' ? roundUp(keySize, 32) : keySize) * DTYPE_BYTES[dtype] + scale;
    const values = (isTiled ? roundUp(valueSize, 16) : valueSize) * DTYPE_BYTES[dtype] + scale;
    return sum + heads * blockSize * (keys + (value === undefined ? 0 : values));
  }, 0);
}
