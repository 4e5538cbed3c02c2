import { toDType } from '../../dtype.js';
import { int64 } from '../integers.js';
import type { StepInput } from '../step-input.js';

/** What rows of a sound see of those before them, block by block. */
export const SOUND_CONTEXT = {
  queries: 'query_rows',
  keys: 'context_rows',
  distances: 'distance_places',
  mask: 'context_mask',
  results: 'result_rows',
  taps: 'tap_rows',
} as const;

/** How far rows of a sound look back, themselves included. */
export interface SoundReach {
  /** Of attention. A block has as many rows. */
  readonly span: number;
  readonly heads: number;
  /** Of a convolution. */
  readonly taps: number;
  /** How many of an input's rows one of these is. */
  readonly area: number;
}

/** What is added to scores of a place that is not there. */
const HIDDEN = -1e9;

/** Blocks of `span` rows that sounds of so many rows are cut into: where each begins, and the sound that it is in. */
const blocksOf = (lens: readonly number[], span: number) => {
  let first = 0;
  return lens.flatMap((length) => {
    const [begin, end] = [first, first + length];
    first = end;
    return Array.from({ length: Math.ceil(length / span) }, (_, index) => ({
      from: begin + index * span,
      begin,
      end,
    }));
  });
};

/**
 * Sounds are cut into blocks of `span` rows, B in all; a block's rows see 2 * span - 1 rows, up to its last. Heads of a row
 * count as rows that follow one another. `query_rows` i64 [heads, B, span]; `context_rows` i64 [heads, B, 2 * span - 1]; where
 * there is none, another row of the sound. Of each query and key: `distance_places` i64 [heads * B, span, 2 * span - 1], the
 * place of their distance among `span` numbers of each query in turn; `context_mask` f32, of the same shape, 0, or -1e9 where
 * a row does not see the other. `result_rows` i64 [tokens, heads]: where the result of each row is among queries. `tap_rows`
 * i64 [tokens, taps]: the first row that a convolution sees, up to its own; where there is none, a row behind all.
 */
export const soundContext = ({ span, heads, taps, area }: SoundReach): StepInput => {
  const wide = 2 * span - 1;
  return {
    names: Object.values(SOUND_CONTEXT),
    describe({ rows }) {
      const tokens = Math.ceil(rows / area);
      const blocks = Math.ceil(tokens / span);
      return {
        [SOUND_CONTEXT.queries]: { dtype: 'i64', shape: [heads, blocks, span] },
        [SOUND_CONTEXT.keys]: { dtype: 'i64', shape: [heads, blocks, wide] },
        [SOUND_CONTEXT.distances]: { dtype: 'i64', shape: [heads * blocks, span, wide] },
        [SOUND_CONTEXT.mask]: { dtype: 'f32', shape: [heads * blocks, span, wide] },
        [SOUND_CONTEXT.results]: { dtype: 'i64', shape: [tokens, heads] },
        [SOUND_CONTEXT.taps]: { dtype: 'i64', shape: [tokens, taps] },
      };
    },
    make({ encoderInputs = [] }) {
      const lens = encoderInputs.map(({ rows }) => rows / area);
      const tokens = lens.reduce((sum, length) => sum + length, 0);
      const blocks = blocksOf(lens, span);
      const batches = heads * blocks.length;
      const [queries, keys] = [new Int32Array(batches * span), new Int32Array(batches * wide)];
      const distances = new Int32Array(batches * span * wide);
      const mask = new Float32Array(distances.length);
      const [results, seen] = [new Int32Array(tokens * heads), new Int32Array(tokens * taps)];
      for (let head = 0; head < heads; head++)
        for (const [block, { from, begin, end }] of blocks.entries()) {
          const batch = head * blocks.length + block;
          for (let j = 0; j < wide; j++) {
            const key = from - span + 1 + j;
            keys[batch * wide + j] = Math.min(Math.max(key, begin), end - 1) * heads + head;
          }
          for (let i = 0; i < span; i++) {
            const query = batch * span + i;
            queries[query] = Math.min(from + i, end - 1) * heads + head;
            if (from + i < end) results[(from + i) * heads + head] = query;
            for (let j = 0; j < wide; j++) {
              const [back, key] = [i + span - 1 - j, from - span + 1 + j];
              const sees = back >= 0 && back < span && key >= begin && key < end;
              distances[query * wide + j] = query * span + (sees ? back : 0);
              mask[query * wide + j] = sees ? 0 : HIDDEN;
            }
          }
        }
      for (const { from, begin, end } of blocks)
        for (let row = from; row < Math.min(from + span, end); row++)
          for (let back = 0; back < taps; back++)
            seen[row * taps + taps - 1 - back] = row - back >= begin ? row - back : tokens;
      return {
        [SOUND_CONTEXT.queries]: { ...int64(queries), shape: [heads, blocks.length, span] },
        [SOUND_CONTEXT.keys]: { ...int64(keys), shape: [heads, blocks.length, wide] },
        [SOUND_CONTEXT.distances]: { ...int64(distances), shape: [batches, span, wide] },
        [SOUND_CONTEXT.mask]: toDType(mask, [batches, span, wide], 'f32'),
        [SOUND_CONTEXT.results]: { ...int64(results), shape: [tokens, heads] },
        [SOUND_CONTEXT.taps]: { ...int64(seen), shape: [tokens, taps] },
      };
    },
  };
};
