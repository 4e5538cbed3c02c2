import { AtbError } from '../errors.js';
import { endOf, type Insert } from '../media/index.js';
import { int64 } from './integers.js';
import type { RopeConfig } from './rotary/rope-config.js';
import { rotary } from './rotary.js';
import type { Step } from './step.js';
import type { RunFacts, StepInput } from './step-input.js';

/** Positions of tokens in time, in height and in width. */
export const MROPE_IDS = {
  time: 'position_ids',
  height: 'height_position_ids',
  width: 'width_position_ids',
} as const;

/**
 * Positions of three axes, i64 [tokens] each, with the tables of `rotary`. A text's token has one position for all of
 * them. Of an insert that begins at p, the row in frame t, at y and x has p + t * interval, p + y and p + x; text behind
 * it goes on at the largest of these plus 1 (arXiv:2409.12191, section 2.1; transformers 4, `get_rope_index`). Decode
 * reads `position_ids` alone: there all three are equal.
 */
export function mrope(rope: RopeConfig): StepInput {
  const tables = rotary(rope);
  const { hold } = tables;
  return {
    names: [...tables.names, MROPE_IDS.height, MROPE_IDS.width],
    describe(sizes) {
      const ids = { dtype: 'i64', shape: [sizes.rows] } as const;
      return { ...tables.describe(sizes), [MROPE_IDS.height]: ids, [MROPE_IDS.width]: ids };
    },
    ...(hold && { hold }),
    make(step, run) {
      const axes = positionsOf(step, run);
      return {
        [MROPE_IDS.time]: int64(axes[0]),
        [MROPE_IDS.height]: int64(axes[1]),
        [MROPE_IDS.width]: int64(axes[2]),
      };
    },
  };
}

type Axes = readonly [time: Int32Array, height: Int32Array, width: Int32Array];

/** @throws REQUEST_INVALID for a position that the tables do not have */
function positionsOf({ positions: places, queryLens, inserts }: Step, run: RunFacts): Axes {
  const axes: Axes = [places.slice(), places.slice(), places.slice()];
  let at = 0;
  for (const [row, count] of queryLens.entries()) {
    const own = inserts?.[row] ?? [];
    if (own.length > 0) placeSequence(axes, places, at, at + count, own);
    at += count;
  }
  for (const axis of axes) requireWithin(axis, run);
  return axes;
}

/** Sets the positions of the tokens [from, to) of a step, all of one sequence. */
function placeSequence(
  axes: Axes,
  places: Int32Array,
  from: number,
  to: number,
  inserts: readonly Insert[],
): void {
  // By how much positions are ahead of places, and which insert comes next.
  let [shift, next] = [0, 0];
  for (let token = from; token < to; token++) {
    const place = places[token] as number;
    for (let insert = inserts[next]; insert && endOf(insert) <= place; insert = inserts[++next])
      shift += extentOf(insert) - insert.input.count;
    const insert = inserts[next];
    const isText = insert === undefined || place < insert.start;
    const offsets = isText ? [0, 0, 0] : offsetsOf(insert, place - insert.start);
    const first = (isText ? place : insert.start) + shift;
    for (const [axis, positions] of axes.entries()) positions[token] = first + (offsets[axis] ?? 0);
  }
}

function offsetsOf({ input: { grid } }: Insert, row: number): readonly [t: number, y: number, x: number] {
  if (grid === undefined) return [row, row, row];
  const { rows, columns, interval = 1 } = grid;
  const area = rows * columns;
  const within = row % area;
  return [Math.floor(Math.floor(row / area) * interval), Math.floor(within / columns), within % columns];
}

/** Positions that an insert takes: its largest one plus 1. */
function extentOf({ input: { grid, count } }: Insert): number {
  if (grid === undefined) return count;
  const { frames, rows, columns, interval = 1 } = grid;
  return Math.max(Math.floor((frames - 1) * interval) + 1, rows, columns);
}

function requireWithin(found: Int32Array, { maxPositionEmbeddings, numBlocks, blockSize }: RunFacts): void {
  const limit = Math.min(maxPositionEmbeddings, numBlocks * blockSize);
  const beyond = found.find((position) => position < 0 || position >= limit);
  if (beyond === undefined) return;
  const expected = `from 0 to below ${limit}, which the tables of positions have`;
  throw new AtbError('REQUEST_INVALID', { field: 'position', expected, found: beyond });
}
