import { toDType } from '../dtype.js';
import { type Insert, type ShownThing, shownThings } from '../media/index.js';
import { int32, int64 } from './integers.js';
import type { ShownPlace, Step } from './step.js';
import type { StepInput, StepSizes } from './step-input.js';

/** Tokens of sequences that show something, and what each of them sees of it. */
export const SEEING = {
  rows: 'seeing_rows',
  index: 'seeing_index',
  tables: 'seeing_tables',
  lengths: 'seeing_lengths',
  queries: 'seeing_queries',
  keys: 'seeing_keys',
  factors: 'seeing_factors',
} as const;

/** For programs that read masks: nothing in it is forbidden. */
export const SEEING_MASK = 'seeing_mask';

/** How many rows an encoder gives of one thing: those that hold something, which come first, and all of them. */
export interface ShownCounts {
  readonly filled: number;
  readonly all: number;
}

/** Blocks of the place of one thing. */
export const blocksOfPlace = (rows: number, blockSize: number): number => Math.ceil(rows / blockSize);

/** The slot of each of so many rows that lie in these places one behind the other, of `rows` rows each. */
export function slotsOfPlace(place: ShownPlace, rows: number, blockSize: number): number[] {
  const room = blocksOfPlace(rows, blockSize) * blockSize;
  return place.flatMap((number) => Array.from({ length: room }, (_, at) => number * room + at));
}

/** Tokens of one sequence that follow one another and see the same rows. */
interface SeeingRun {
  /** The first of them, among the tokens of the step. */
  readonly token: number;
  readonly count: number;
  readonly place: ShownPlace;
  /** How many rows each of them sees. */
  readonly length: number;
  /** Whether they come behind what is shown, or are its token. */
  readonly isBehind: boolean;
}

/** How many rows tokens of a sequence see of a thing, from which token on. */
function seenOf(
  { parts, from, isBefore }: ShownThing,
  countsOf: (insert: Insert) => ShownCounts,
): { readonly from: number; readonly length: number }[] {
  const counts = parts.map(countsOf);
  if (isBefore) return [{ from, length: counts.reduce((sum, { all }) => sum + all, 0) }];
  let length = 0;
  return parts.map(({ start }, at) => {
    length += counts[at]?.filled ?? 0;
    return { from: start, length };
  });
}

function seeingRuns(step: Step, countsOf: (insert: Insert) => ShownCounts): readonly SeeingRun[] {
  const { inserts = [], shownPlaces = [], queryLens, seqLens } = step;
  const runs: SeeingRun[] = [];
  let token = 0;
  for (const [row, end] of seqLens.entries()) {
    const count = queryLens[row] ?? 0;
    const begin = end - count;
    for (const [index, thing] of shownThings(inserts[row]?.[0]).entries()) {
      const place = shownPlaces[row]?.[index] ?? [];
      if (place.length === 0) continue;
      const seen = seenOf(thing, countsOf);
      for (const [at, { from, length }] of seen.entries()) {
        const to = Math.min(seen[at + 1]?.from ?? thing.to, end);
        // A run has no more tokens than rows that they see.
        for (let first = Math.max(from, begin); first < to; first += length)
          runs.push({
            token: token + first - begin,
            count: Math.min(length, to - first),
            ...{ place, length, isBehind: !thing.isBefore },
          });
      }
    }
    token += count;
  }
  return runs;
}

/** Blocks of the longest place that a run sees. */
const widthOf = (runs: readonly SeeingRun[], each: number): number =>
  each * runs.reduce((most, { place }) => Math.max(most, place.length), 1);

/**
 * Tokens that attend to what their sequence shows, whose keys and values have a place in caches of their own, as many
 * rows as `rows` says in each. `seeing_rows` i64 [seeing]: these tokens, none of a step of text alone.
 * `seeing_index` i64 [tokens]: i for a token that sees nothing; for the others, behind all tokens, the place among
 * those. They are attended to in runs of those of one sequence that see the same, in decode of one token each:
 * `seeing_tables` i32 [runs, blocks], `seeing_lengths` i32 [runs] and `seeing_queries` i32 [runs]: blocks and rows that
 * a run sees, and its tokens; from the token on that stands for the thing, rows that hold something, before it all of
 * them. `seeing_keys` i32 [seeing]: rows that each token sees. `seeing_factors` [seeing, 1] in the model's dtype: 0
 * before that token, 1 from it on.
 */
export const shownRows = (rows: number, countsOf: (insert: Insert) => ShownCounts): StepInput => ({
  names: Object.values(SEEING),
  describe({ rows: tokens, dtype, blockSize = 1 }: StepSizes) {
    const each = { dtype: 'i32', shape: [tokens] } as const;
    return {
      [SEEING.rows]: { dtype: 'i64', shape: [tokens] },
      [SEEING.index]: { dtype: 'i64', shape: [tokens] },
      [SEEING.tables]: { dtype: 'i32', shape: [tokens, blocksOfPlace(rows, blockSize)] },
      [SEEING.lengths]: each,
      [SEEING.queries]: each,
      [SEEING.keys]: each,
      [SEEING.factors]: { dtype, shape: [tokens, 1] },
    };
  },
  make(step, { dtype, blockSize }) {
    const runs = seeingRuns(step, countsOf);
    const index = new Int32Array(step.tokenIds.length).map((_, token) => token);
    const seeing = runs.flatMap(({ token, count }) => Array.from({ length: count }, (_, at) => token + at));
    for (const [at, token] of seeing.entries()) index[token] = index.length + at;
    const each = blocksOfPlace(rows, blockSize);
    const width = widthOf(runs, each);
    // What is behind a run's places is never read.
    const tables = runs.flatMap(({ place }) =>
      Array.from(
        { length: width },
        (_, block) => (place[Math.floor(block / each)] ?? 0) * each + (block % each),
      ),
    );
    const ofRuns = (of: (run: SeeingRun) => number) => int32(Int32Array.from(runs, of));
    const ofTokens = (of: (run: SeeingRun) => number) =>
      runs.flatMap((run) => Array<number>(run.count).fill(of(run)));
    const factors = Float32Array.from(ofTokens(({ isBehind }) => (isBehind ? 1 : 0)));
    return {
      [SEEING.rows]: int64(Int32Array.from(seeing)),
      [SEEING.index]: int64(index),
      [SEEING.tables]: int32(Int32Array.from(tables), [runs.length, width]),
      [SEEING.lengths]: ofRuns(({ length }) => length),
      [SEEING.queries]: ofRuns(({ count }) => count),
      [SEEING.keys]: int32(Int32Array.from(ofTokens(({ length }) => length))),
      [SEEING.factors]: toDType(factors, [seeing.length, 1], dtype),
    };
  },
});

/** `seeing_mask` [seeing, rows] in the model's dtype, zeros: `seeing_lengths` says all, for whoever reads no masks. */
export const shownMask = (rows: number, countsOf: (insert: Insert) => ShownCounts): StepInput => ({
  names: [SEEING_MASK],
  describe: ({ rows: tokens, dtype }) => ({ [SEEING_MASK]: { dtype, shape: [tokens, rows] } }),
  make(step, { dtype }) {
    const runs = seeingRuns(step, countsOf);
    const seeing = runs.reduce((sum, { count }) => sum + count, 0);
    const width = widthOf(runs, rows);
    return { [SEEING_MASK]: toDType(new Float32Array(seeing * width), [seeing, width], dtype) };
  },
});
