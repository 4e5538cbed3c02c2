import { type FloatDType, type Tensor, toDType } from '../dtype.js';

/** Rows and columns of the triangle that stands for "causal" at any length: ATB's `isTriuMask`. */
export const TRIANGLE = 128;

/**
 * The operations that read masks. One tensor must not serve several: in bf16 they take it for different things.
 * `LatentAttention` is PagedAttention whose values are parts of keys (`mlaVHeadSize`), which ATB has another kernel for.
 */
export type MaskReader = 'SelfAttention' | 'PagedAttention' | 'LatentAttention';

const LOWEST_F32 = -3.4028234663852886e38;

/**
 * What a mask holds where a query must not look; elsewhere it holds 0. Exported graphs come with the same numbers.
 *
 * SelfAttention in bf16 multiplies its mask by -3e38 (ATB, unpad_flashattention_bf16_mix.cce), so there it is 1; so does
 * latent attention (paged_MLAttention_multi_token_prediction.cce; test_paged_attention_operation_mtp.py).
 * PagedAttention adds its mask as it is in every dtype (ATB, paged_attention_decoder_nd_common.cce); ATB's own tests have
 * -10000 in bf16 (test_paged_attention_operation_BSND_910B.py), and MindIE multiplies by it (memory_decoding_plugin.py).
 * f16 masks are added by both: the lowest finite number. ATB has no f32 here, so that is ours: as in f16.
 */
export const BLOCKED: Readonly<Record<MaskReader, Readonly<Record<FloatDType, number>>>> = {
  SelfAttention: { bf16: 1, f16: -65504, f32: LOWEST_F32 },
  LatentAttention: { bf16: 1, f16: -65504, f32: LOWEST_F32 },
  PagedAttention: { bf16: -10000, f16: -65504, f32: LOWEST_F32 },
};

/** What a mask is for. */
export interface MaskUse {
  readonly reader: MaskReader;
  readonly dtype: FloatDType;
  /** A query sees so many keys, its own included; all before it when absent. */
  readonly windowSize?: number;
  /** It sees none before the last multiple of so many positions; all before it when absent. */
  readonly chunkSize?: number;
  /** Whether it sees so many keys before it and so many behind it, its own not counted; false when absent. */
  readonly bothWays?: boolean;
  /** How many keys each query sees, in its order; all up to its own when absent. */
  readonly seen?: ArrayLike<number>;
}

/**
 * Whether a query at position `query`, which sees the first `end` keys, sees the key at position `key`, as
 * `sliding_window` and `attention_chunk_size` in transformers (masking_utils.py).
 */
const sees = (
  query: number,
  key: number,
  end: number,
  {
    windowSize = Number.POSITIVE_INFINITY,
    chunkSize = Number.POSITIVE_INFINITY,
    bothWays = false,
  }: Pick<MaskUse, 'windowSize' | 'chunkSize' | 'bothWays'>,
): boolean =>
  bothWays
    ? Math.abs(key - query) <= windowSize
    : key < end && key > query - windowSize && key >= query - (query % chunkSize);

/**
 * [size, size], rows and columns are positions: `attention_mask` of split-fuse, `sliding_attention_mask` of prefill and
 * split-fuse, and of encoders. With size 128 and no window it is the triangle that prefill's `isTriuMask` wants.
 */
export const squareMask = (size: number, use: MaskUse): Tensor =>
  maskOf(
    Array.from({ length: size }, (_, query) => query),
    size,
    use,
  );

/** [queries, size]: of queries at these positions; split-fuse's of latent attention has a row for each token. */
export function maskOf(
  queries: ArrayLike<number>,
  size: number,
  { reader, dtype, seen, ...window }: MaskUse,
): Tensor {
  const values = new Float32Array(queries.length * size);
  for (let row = 0; row < queries.length; row++) {
    const query = queries[row] ?? 0;
    for (let key = 0; key < size; key++) {
      if (!sees(query, key, seen?.[row] ?? query + 1, window))
        values[row * size + key] = BLOCKED[reader][dtype];
    }
  }
  return toDType(values, [queries.length, size], dtype);
}

/** [batch, 1, size]: what each sequence's last token sees of its context; `sliding_attention_mask` of decode. */
export function decodeMask(contextLens: ArrayLike<number>, size: number, use: MaskUse): Tensor {
  const queries = Array.from(contextLens, (length) => length - 1);
  return { ...maskOf(queries, size, use), shape: [queries.length, 1, size] };
}
