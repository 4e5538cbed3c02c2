import { toDType } from '../dtype.js';
import type { StepInput } from './step-input.js';

/** By what the embeddings of tokens are multiplied. */
export const EMBEDDING_SCALES = 'embedding_scales';

/** The share of tokens that were masked in training. */
const MASKED = 0.15 * 0.8;

/**
 * `embedding_scales` [tokens, 1] in the model's dtype: 0 for those of `maskTokenId`, and for others what makes up for
 * as many masked tokens as in training, and as there are in their text (transformers 5.24, `EsmEmbeddings`).
 */
export const maskDropout = (maskTokenId: number | undefined): StepInput => ({
  names: [EMBEDDING_SCALES],
  describe: ({ rows, dtype }) => ({ [EMBEDDING_SCALES]: { dtype, shape: [rows, 1] } }),
  make({ tokenIds, queryLens }, { dtype }) {
    const scales = new Float32Array(tokenIds.length);
    let at = 0;
    for (const count of queryLens) {
      const text = tokenIds.subarray(at, at + count);
      const masked = text.filter((id) => id === maskTokenId).length / count;
      for (const id of text) scales[at++] = id === maskTokenId ? 0 : (1 - MASKED) / (1 - masked);
    }
    return { [EMBEDDING_SCALES]: toDType(scales, [scales.length, 1], dtype) };
  },
});
