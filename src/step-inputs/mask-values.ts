import { type FloatDType, type Tensor, toDType } from '../dtype.js';

/** Rows and columns of the triangle that stands for "causal" at any length: ATB's `isTriuMask`. */
export const TRIANGLE = 128;

/**
 * What a mask holds where a query must not look. ATB multiplies bf16 masks by -3e38, so there it is 1; f16 and f32
 * masks are added as they are, and hold the lowest finite number.
 */
const BLOCKED: Readonly<Record<FloatDType, number>> = { bf16: 1, f16: -65504, f32: -3.4028234663852886e38 };

/** Whether a query at position `query` sees the key at position `key`, as `sliding_window` in transformers. */
const sees = (query: number, key: number, windowSize = Number.POSITIVE_INFINITY): boolean =>
  key <= query && key > query - windowSize;

/**
 * [size, size], rows and columns are positions: `attention_mask` of split-fuse, `sliding_attention_mask` of prefill and
 * split-fuse. With size 128 and no window it is the triangle that prefill's `isTriuMask` wants.
 */
export function causalMask(size: number, dtype: FloatDType, windowSize?: number): Tensor {
  const values = new Float32Array(size * size);
  for (let query = 0; query < size; query++) {
    for (let key = 0; key < size; key++) {
      if (!sees(query, key, windowSize)) values[query * size + key] = BLOCKED[dtype];
    }
  }
  return toDType(values, [size, size], dtype);
}

/** [batch, 1, size]: what each sequence's last token sees of its context; `sliding_attention_mask` of decode. */
export function decodeMask(
  contextLens: ArrayLike<number>,
  size: number,
  dtype: FloatDType,
  windowSize: number,
): Tensor {
  const values = new Float32Array(contextLens.length * size);
  for (let row = 0; row < contextLens.length; row++) {
    const query = (contextLens[row] ?? 0) - 1;
    for (let key = 0; key < size; key++) {
      if (!sees(query, key, windowSize)) values[row * size + key] = BLOCKED[dtype];
    }
  }
  return toDType(values, [contextLens.length, 1, size], dtype);
}
