import type { GraphKind } from '../graph/graph-kind.js';
import { causalMask, decodeMask, TRIANGLE } from './mask-values.js';
import type { StepInput } from './step-input.js';

/** The mask of attention over the whole context. Decode needs none. */
export const FULL_MASK = 'attention_mask';
/** The mask of attention with a sliding window. */
export const SLIDING_MASK = 'sliding_attention_mask';

// The engine computes masks itself where passes may rewrite its graphs, so that in general nobody reads these.

/**
 * `attention_mask` in the model's dtype: [128, 128] in prefill, where the triangle stands for any length; in split-fuse
 * [context, context], rows and columns being positions.
 */
export const fullMask: StepInput = {
  names: [FULL_MASK],
  describe({ kind, dtype, contextLen }) {
    const size = kind.readsCache ? contextLen : TRIANGLE;
    return { [FULL_MASK]: { dtype, shape: [size, size] } };
  },
  make({ kind, seqLens }, { dtype }) {
    return { [FULL_MASK]: causalMask(kind.readsCache ? Math.max(...seqLens) : TRIANGLE, dtype) };
  },
};

const hasOneQuery = ({ readsCache, hasQueryLens }: GraphKind): boolean => readsCache && !hasQueryLens;

/**
 * `sliding_attention_mask` in the model's dtype: [context, context], rows and columns being positions; in decode
 * [batch, 1, context].
 */
export function slidingMask(windowSize: number): StepInput {
  return {
    names: [SLIDING_MASK],
    describe({ kind, dtype, batch, contextLen }) {
      const shape = hasOneQuery(kind) ? [batch, 1, contextLen] : [contextLen, contextLen];
      return { [SLIDING_MASK]: { dtype, shape } };
    },
    make({ kind, seqLens }, { dtype }) {
      const contextLen = Math.max(...seqLens);
      const mask = hasOneQuery(kind)
        ? decodeMask(seqLens, contextLen, dtype, windowSize)
        : causalMask(contextLen, dtype, windowSize);
      return { [SLIDING_MASK]: mask };
    },
  };
}
