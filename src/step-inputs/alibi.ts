import { type Tensor, toDType } from '../dtype.js';
import type { GraphKind } from '../graph/graph-kind.js';
import { int32 } from './integers.js';
import { BLOCKED } from './mask-values.js';
import { blockTables } from './paging.js';
import type { Step } from './step.js';
import type { RunFacts, StepInput } from './step-input.js';

/** The masks of attention with slopes, one for each head. */
export const ALIBI_MASK = 'alibi_attention_mask';
/** The tokens of a step as sequences of one token each. */
export const TOKEN_SEQUENCES = { blockTables: 'token_block_tables', seqLen: 'token_seq_len' } as const;

/**
 * `alibi_attention_mask` in the model's dtype, where the query at position p and the key at j have
 * `slopes[head] * (j - p)` (arXiv:2108.12409): in prefill [heads, context, context], rows and columns being positions;
 * else [tokens, heads, 1, context]. SelfAttention, too, adds these masks as they are in every dtype.
 */
export const alibiMask = (slopes: readonly number[]): StepInput => ({
  names: [ALIBI_MASK],
  describe({ kind, dtype, rows, contextLen }) {
    const heads = slopes.length;
    const shape = kind.readsCache ? [rows, heads, 1, contextLen] : [heads, contextLen, contextLen];
    return { [ALIBI_MASK]: { dtype, shape } };
  },
  recipes: (kind) => ({
    [ALIBI_MASK]: { made: 'alibi_mask', form: kind.readsCache ? 'tokens' : 'positions', slopes },
  }),
  make: (step, run) => ({ [ALIBI_MASK]: made(step.kind, step, run, slopes) }),
});

function made(kind: GraphKind, step: Step, { dtype }: RunFacts, slopes: readonly number[]): Tensor {
  const context = Math.max(...step.seqLens);
  const rows = kind.readsCache
    ? places(step).flatMap((place) => slopes.map((slope) => ({ place, slope })))
    : slopes.flatMap((slope) => Array.from({ length: context }, (_, place) => ({ place, slope })));
  const values = new Float32Array(rows.length * context).fill(BLOCKED.PagedAttention[dtype]);
  rows.forEach(({ place, slope }, row) => {
    for (let key = 0; key <= place; key++) values[row * context + key] = slope * (key - place);
  });
  const heads = slopes.length;
  const shape = kind.readsCache ? [rows.length / heads, heads, 1, context] : [heads, context, context];
  return toDType(values, shape, dtype);
}

/** Each token's place in its sequence. */
const places = ({ seqLens, queryLens }: Step): number[] =>
  Array.from(seqLens).flatMap((seqLen, row) => {
    const count = queryLens[row] ?? 0;
    return Array.from({ length: count }, (_, i) => seqLen - count + i);
  });

/**
 * `token_block_tables` i32 [tokens, blocks]: of each token the blocks of its sequence; `token_seq_len` i32 [tokens]: how
 * many tokens it may see. Throws what `paging` throws.
 */
export const tokenSequences: StepInput = {
  names: Object.values(TOKEN_SEQUENCES),
  describe: ({ rows, blocks }) => ({
    [TOKEN_SEQUENCES.blockTables]: { dtype: 'i32', shape: [rows, blocks] },
    [TOKEN_SEQUENCES.seqLen]: { dtype: 'i32', shape: [rows] },
  }),
  recipes: () => ({
    [TOKEN_SEQUENCES.blockTables]: { made: 'block_tables_of_tokens' },
    [TOKEN_SEQUENCES.seqLen]: { made: 'context_lengths_of_tokens' },
  }),
  make(step, run) {
    const { data, width } = blockTables(step, run);
    const ofSequence = Array.from(step.queryLens).flatMap((count, row) => Array<number>(count).fill(row));
    const tables = new Int32Array(ofSequence.length * width);
    ofSequence.forEach((row, token) => {
      tables.set(data.subarray(row * width, (row + 1) * width), token * width);
    });
    return {
      [TOKEN_SEQUENCES.blockTables]: int32(tables, [ofSequence.length, width]),
      [TOKEN_SEQUENCES.seqLen]: int32(Int32Array.from(places(step), (place) => place + 1)),
    };
  },
};
