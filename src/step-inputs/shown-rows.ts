import { toDType } from '../dtype.js';
import { endOf, type Insert } from '../media/index.js';
import { int32, int64 } from './integers.js';
import type { Step } from './step.js';
import type { StepInput, StepSizes } from './step-input.js';

/** Tokens of sequences that show something, and what each of them sees of it. */
export const SEEING = {
  rows: 'seeing_rows',
  index: 'seeing_index',
  tables: 'seeing_tables',
  lengths: 'seeing_lengths',
  factors: 'seeing_factors',
} as const;

/** How many rows an encoder gives of one thing: those that hold something, which come first, and all of them. */
export interface ShownCounts {
  readonly filled: number;
  readonly all: number;
}

/** Blocks of the place of one thing. */
export const blocksOfPlace = (rows: number, blockSize: number): number => Math.ceil(rows / blockSize);

interface SeeingToken {
  /** Among the tokens of the step. */
  readonly token: number;
  readonly place: number;
  /** How many rows it sees. */
  readonly length: number;
  /** Whether it comes behind what is shown, or is its token. */
  readonly isBehind: boolean;
}

function seeingTokens(step: Step, countsOf: (insert: Insert) => ShownCounts): SeeingToken[] {
  const { inserts = [], shownPlaces = [], queryLens, seqLens } = step;
  const seeing: SeeingToken[] = [];
  let token = 0;
  for (const [row, seqLen] of seqLens.entries()) {
    const count = queryLens[row] ?? 0;
    const [insert] = inserts[row] ?? [];
    const place = shownPlaces[row];
    for (let at = seqLen - count; at < seqLen; at++, token++) {
      if (insert === undefined || place === undefined) continue;
      const isBehind = at >= endOf(insert) - 1;
      const { filled, all } = countsOf(insert);
      seeing.push({ token, place, length: isBehind ? filled : all, isBehind });
    }
  }
  return seeing;
}

/**
 * Tokens that attend to what their sequence shows, whose keys and values have a place in caches of their own, as many
 * rows as `rows` says in each. `seeing_rows` i64 [seeing]: these tokens, one of no effect where there are none.
 * `seeing_index` i64 [tokens]: i for a token that sees nothing; for the others, behind all tokens, the place among
 * those. `seeing_tables` i32 [seeing, blocks] and `seeing_lengths` i32 [seeing]: the blocks and the rows that each
 * sees: from the token on that stands for the thing, those that hold something, before it all of them. `seeing_factors`
 * [seeing, 1] in the model's dtype: 0 before it, 1 from it on.
 */
export const shownRows = (rows: number, countsOf: (insert: Insert) => ShownCounts): StepInput => ({
  names: Object.values(SEEING),
  describe({ rows: tokens, dtype, blockSize = 1 }: StepSizes) {
    return {
      [SEEING.rows]: { dtype: 'i64', shape: [tokens] },
      [SEEING.index]: { dtype: 'i64', shape: [tokens] },
      [SEEING.tables]: { dtype: 'i32', shape: [tokens, blocksOfPlace(rows, blockSize)] },
      [SEEING.lengths]: { dtype: 'i32', shape: [tokens] },
      [SEEING.factors]: { dtype, shape: [tokens, 1] },
    };
  },
  make(step, { dtype, blockSize }) {
    const found = seeingTokens(step, countsOf);
    const tokens = step.tokenIds.length;
    const seeing = found.length > 0 ? found : [{ token: 0, place: 0, length: 0, isBehind: false }];
    const index = new Int32Array(tokens).map((_, token) => token);
    for (const [at, { token }] of found.entries()) index[token] = tokens + at;
    const width = blocksOfPlace(rows, blockSize);
    const tables = Int32Array.from(
      seeing.flatMap(({ place }) => Array.from({ length: width }, (_, block) => place * width + block)),
    );
    const factors = Float32Array.from(seeing, ({ isBehind }) => (isBehind ? 1 : 0));
    return {
      [SEEING.rows]: int64(Int32Array.from(seeing, ({ token }) => token)),
      [SEEING.index]: int64(index),
      [SEEING.tables]: int32(tables, [seeing.length, width]),
      [SEEING.lengths]: int32(Int32Array.from(seeing, ({ length }) => length)),
      [SEEING.factors]: toDType(factors, [seeing.length, 1], dtype),
    };
  },
});
