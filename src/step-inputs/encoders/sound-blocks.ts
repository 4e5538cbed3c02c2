import { toDType } from '../../dtype.js';
import { int32, int64 } from '../integers.js';
import type { StepInput } from '../step-input.js';
import { querySequences } from './query-sequences.js';

/** How rows of a sound see each other within blocks. */
export const SOUND_BLOCKS = {
  rows: 'block_rows',
  mask: 'block_mask',
  results: 'block_results',
  distances: 'distance_rows',
} as const;

/** What such blocks are told. */
export interface SoundBlocks {
  /** Rows of a block; the last one of a sound may have fewer. */
  readonly span: number;
  readonly heads: number;
  /** The row of a table of distances that stands for none; those before it are of keys behind their queries. */
  readonly middle: number;
}

/** What is added to scores of a place that is not there. */
const HIDDEN = -1e9;

/**
 * Sounds are cut into blocks of `span` rows, B in all. `block_rows` i64 [B, span]: the rows of each block; behind a
 * sound's last row, that one again. `block_mask` f32 [B * heads, 1, span]: 0, or -1e9 behind a sound's last row.
 * `block_results` i64 [rows, heads]: where the result of each row and head is among those of blocks, heads and places
 * in them. And for the whole run `distance_rows` i64 [span, span]: of each query and key of a block the row of a
 * table of distances.
 */
export const soundBlocks = ({ span, heads, middle }: SoundBlocks): StepInput => ({
  names: Object.values(SOUND_BLOCKS),
  describe({ rows }) {
    const blocks = Math.ceil(rows / span);
    return {
      [SOUND_BLOCKS.rows]: { dtype: 'i64', shape: [blocks, span] },
      [SOUND_BLOCKS.mask]: { dtype: 'f32', shape: [blocks * heads, 1, span] },
      [SOUND_BLOCKS.results]: { dtype: 'i64', shape: [rows, heads] },
      [SOUND_BLOCKS.distances]: { dtype: 'i64', shape: [span, span] },
    };
  },
  hold() {
    const distances = Int32Array.from({ length: span * span }, (_, place) => {
      const [query, key] = [Math.floor(place / span), place % span];
      return middle + query - key;
    });
    return { [SOUND_BLOCKS.distances]: { ...int64(distances), shape: [span, span] } };
  },
  make({ encoderInputs = [] }) {
    const [rows, mask, results]: [number[], number[], number[]] = [[], [], []];
    let [first, block] = [0, 0];
    for (const { rows: count } of encoderInputs) {
      for (let from = 0; from < count; from += span, block++) {
        const places = Array.from({ length: span }, (_, place) => from + place);
        for (const place of places) rows.push(first + Math.min(place, count - 1));
        for (let head = 0; head < heads; head++)
          for (const place of places) mask.push(place < count ? 0 : HIDDEN);
        for (let place = 0; place < Math.min(span, count - from); place++)
          for (let head = 0; head < heads; head++) results.push((block * heads + head) * span + place);
      }
      first += count;
    }
    return {
      [SOUND_BLOCKS.rows]: { ...int64(Int32Array.from(rows)), shape: [block, span] },
      [SOUND_BLOCKS.mask]: toDType(Float32Array.from(mask), [block * heads, 1, span], 'f32'),
      [SOUND_BLOCKS.results]: { ...int64(Int32Array.from(results)), shape: [first, heads] },
    };
  },
});

/** The rows that stand at one place of what a convolution sees. */
export const TAP_ROWS = (tap: number): string => `tap_rows_${tap}`;

/**
 * For a convolution over rows of a sound: of each place that it sees, `before` of them before the row itself, the
 * rows there, i64 [rows]; where there is none, a row behind all.
 */
export const soundTaps = (taps: number, before: number): StepInput => {
  const names = Array.from({ length: taps }, (_, tap) => TAP_ROWS(tap));
  return {
    names,
    describe: ({ rows }) =>
      Object.fromEntries(names.map((name) => [name, { dtype: 'i64', shape: [rows] } as const])),
    make({ encoderInputs = [] }) {
      const total = encoderInputs.reduce((sum, { rows }) => sum + rows, 0);
      const made = names.map(() => new Int32Array(total));
      let first = 0;
      for (const { rows: count } of encoderInputs) {
        for (const [tap, places] of made.entries())
          for (let row = 0; row < count; row++) {
            const seen = row + tap - before;
            places[first + row] = seen >= 0 && seen < count ? first + seen : total;
          }
        first += count;
      }
      return Object.fromEntries(made.map((places, tap) => [TAP_ROWS(tap), int64(places)]));
    },
  };
};

/** Windows of a sound's rows that learned queries look at. */
export const QUERIED_WINDOWS = {
  rows: 'window_rows',
  queries: 'window_queries',
  lens: 'window_query_len',
  seen: 'window_seen_len',
} as const;

/**
 * The same of pictures of `patches` patches each, whose `seen` rows, which lie in order, are a window: without
 * `window_rows`.
 */
export const queriedPictures = (patches: number, seen: number, queries: number): StepInput => ({
  names: [QUERIED_WINDOWS.queries, QUERIED_WINDOWS.lens, QUERIED_WINDOWS.seen],
  describe({ rows }) {
    const pictures = Math.max(1, Math.floor(rows / patches));
    return {
      [QUERIED_WINDOWS.queries]: { dtype: 'i64', shape: [pictures * queries] },
      [QUERIED_WINDOWS.lens]: { dtype: 'i32', shape: [pictures] },
      [QUERIED_WINDOWS.seen]: { dtype: 'i32', shape: [2, pictures] },
    };
  },
  make({ encoderInputs = [] }) {
    const pictures = encoderInputs.length;
    const asked = querySequences(queries, Array<number>(pictures).fill(seen));
    return {
      [QUERIED_WINDOWS.queries]: asked.rows,
      [QUERIED_WINDOWS.lens]: int32(new Int32Array(pictures).fill(queries)),
      [QUERIED_WINDOWS.seen]: asked.lens,
    };
  },
});

/**
 * Each `size` rows of a sound are a window, W in all, which `queries` learned ones look at. `window_rows` i64 [W *
 * size]: the rows of each; behind a sound's last row, one behind all. `window_queries` i64 [W * queries]: the
 * queries, again for each window. `window_query_len` i32 [W]: how many of them see each other. `window_seen_len` i32
 * [2, W]: queries and rows of each.
 */
export const queriedWindows = (size: number, queries: number): StepInput => ({
  names: Object.values(QUERIED_WINDOWS),
  describe({ rows }) {
    const windows = Math.ceil(rows / size);
    return {
      [QUERIED_WINDOWS.rows]: { dtype: 'i64', shape: [windows * size] },
      [QUERIED_WINDOWS.queries]: { dtype: 'i64', shape: [windows * queries] },
      [QUERIED_WINDOWS.lens]: { dtype: 'i32', shape: [windows] },
      [QUERIED_WINDOWS.seen]: { dtype: 'i32', shape: [2, windows] },
    };
  },
  make({ encoderInputs = [] }) {
    const total = encoderInputs.reduce((sum, { rows }) => sum + rows, 0);
    const places: number[] = [];
    let first = 0;
    for (const { rows: count } of encoderInputs) {
      for (let place = 0; place < Math.ceil(count / size) * size; place++)
        places.push(place < count ? first + place : total);
      first += count;
    }
    const windows = places.length / size;
    const asked = querySequences(queries, Array<number>(windows).fill(size));
    return {
      [QUERIED_WINDOWS.rows]: int64(Int32Array.from(places)),
      [QUERIED_WINDOWS.queries]: asked.rows,
      [QUERIED_WINDOWS.lens]: int32(new Int32Array(windows).fill(queries)),
      [QUERIED_WINDOWS.seen]: asked.lens,
    };
  },
});
