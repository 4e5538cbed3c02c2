import { type GraphKind, hasOneQuery } from '../graph/graph-kind.js';
import { decodeMask, type MaskReader, type MaskUse, maskOf, squareMask, TRIANGLE } from './mask-values.js';
import type { StepInput } from './step-input.js';

/** The mask of attention over the whole context. Decode needs none. */
export const FULL_MASK = 'attention_mask';
/** The mask of latent attention over the whole context. Decode needs none. */
export const LATENT_MASK = 'latent_attention_mask';
/** The mask of attention with a sliding window. */
export const SLIDING_MASK = 'sliding_attention_mask';
/** The mask of attention within chunks of positions. */
export const CHUNKED_MASK = 'chunked_attention_mask';

/** The operation by which a graph of this kind attends: it decides what the numbers of a mask mean. */
export const maskReader = ({ readsCache }: GraphKind): MaskReader =>
  readsCache ? 'PagedAttention' : 'SelfAttention';

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
  recipes(kind) {
    const form = kind.readsCache ? 'positions' : 'triangle';
    return { [FULL_MASK]: { made: 'mask', form, reader: maskReader(kind) } };
  },
  make({ kind, seqLens }, { dtype }) {
    const size = kind.readsCache ? Math.max(...seqLens) : TRIANGLE;
    return { [FULL_MASK]: squareMask(size, { reader: maskReader(kind), dtype }) };
  },
};

/**
 * `latent_attention_mask` in the model's dtype: in prefill as `attention_mask`; in split-fuse [tokens, context], since ATB's
 * latent attention takes several tokens of a sequence with MASK_TYPE_SPEC alone (paged_attention_operation.cpp,
 * MlaParamCheck).
 */
export const latentMask: StepInput = {
  names: [LATENT_MASK],
  describe({ kind, dtype, rows, contextLen }) {
    const shape = kind.readsCache ? [rows, contextLen] : [TRIANGLE, TRIANGLE];
    return { [LATENT_MASK]: { dtype, shape } };
  },
  recipes: ({ readsCache }) => ({
    [LATENT_MASK]: readsCache
      ? { made: 'mask', form: 'tokens', reader: 'LatentAttention' }
      : { made: 'mask', form: 'triangle', reader: 'SelfAttention' },
  }),
  make({ kind, positions, seqLens }, { dtype }) {
    if (!kind.readsCache) return { [LATENT_MASK]: squareMask(TRIANGLE, { reader: 'SelfAttention', dtype }) };
    return { [LATENT_MASK]: maskOf(positions, Math.max(...seqLens), { reader: 'LatentAttention', dtype }) };
  },
};

/** The name of the mask of a layer with this window, in a model whose layers have these. */
export function slidingMaskName(windowSize: number, all: readonly (number | undefined)[]): string {
  const isOnly = all.every((size) => size === undefined || size === windowSize);
  return isOnly ? SLIDING_MASK : `${SLIDING_MASK}_${windowSize}`;
}

/** The masks of a model's sliding windows, layer by layer; undefined stands for none. `bothWays`: see `slidingMask`. */
export function slidingMasks(windows: readonly (number | undefined)[], bothWays = false): StepInput[] {
  const sizes = new Set(windows.filter((size) => size !== undefined));
  return [...sizes].map((size) => slidingMask(size, slidingMaskName(size, windows), bothWays));
}

/**
 * `sliding_attention_mask` in the model's dtype: [context, context], rows and columns being positions; in decode
 * [batch, 1, context]. With `bothWays`, as encoders have it, a query sees `windowSize` keys before it and as many behind it.
 */
export const slidingMask = (windowSize: number, name: string = SLIDING_MASK, bothWays = false): StepInput =>
  limitedMask(name, { windowSize, ...(bothWays && { bothWays }) });

/** `chunked_attention_mask`, of the same shapes: a query sees none before the last multiple of `chunkSize`. */
export const chunkedMask = (chunkSize: number): StepInput => limitedMask(CHUNKED_MASK, { chunkSize });

function limitedMask(name: string, limit: Pick<MaskUse, 'windowSize' | 'chunkSize' | 'bothWays'>): StepInput {
  return {
    names: [name],
    describe({ kind, dtype, batch, contextLen }) {
      const shape = hasOneQuery(kind) ? [batch, 1, contextLen] : [contextLen, contextLen];
      return { [name]: { dtype, shape } };
    },
    recipes(kind) {
      const form = hasOneQuery(kind) ? 'last_positions' : 'positions';
      return { [name]: { made: 'mask', form, reader: maskReader(kind), ...limit } };
    },
    make({ kind, seqLens }, { dtype }) {
      const contextLen = Math.max(...seqLens);
      const use = { reader: maskReader(kind), dtype, ...limit };
      const mask = hasOneQuery(kind) ? decodeMask(seqLens, contextLen, use) : squareMask(contextLen, use);
      return { [name]: mask };
    },
  };
}
