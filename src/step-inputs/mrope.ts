import type { Tensor } from '../dtype.js';
import { AtbError } from '../errors.js';
import type { TensorDesc } from '../graph/infer-shapes.js';
import type { Insert } from '../media/index.js';
import { int64 } from './integers.js';
import type { InputRecipe, PositionAxis } from './recipe.js';
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
 * reads `position_ids` alone: there all three are equal. `turns`: by which axis each of headDim / 2 frequencies turns, where
 * axes do not follow one another; then there are tables for each axis, too.
 */
export function mrope(rope: RopeConfig, turns?: readonly number[]): StepInput {
  const tables = rotary(rope);
  const { hold, recipes } = tables;
  const parts = turns ? MROPE_TABLES.flatMap(({ cos, sin }) => [cos, sin]) : [];
  return {
    names: [...tables.names, MROPE_IDS.height, MROPE_IDS.width, ...parts],
    describe(sizes) {
      const ids = { dtype: 'i64', shape: [sizes.rows] } as const;
      const whole = tables.describe(sizes);
      const described = Object.fromEntries(parts.map((name) => [name, whole.cos_table as TensorDesc]));
      return { ...whole, [MROPE_IDS.height]: ids, [MROPE_IDS.width]: ids, ...described };
    },
    recipes(kind) {
      const whole = recipes?.(kind) ?? {};
      return {
        ...whole,
        ...Object.fromEntries(AXES.map((axis) => [MROPE_IDS[axis], { made: 'axis_positions', axis }])),
        ...(turns && recipesByAxis(whole, turns)),
      };
    },
    hold(run) {
      const held = hold?.(run) ?? {};
      return turns ? { ...held, ...tablesByAxis(held, turns) } : held;
    },
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

const AXES: readonly PositionAxis[] = ['time', 'height', 'width'];

/** Tables that hold nothing but the frequencies of one axis, zeros elsewhere: rows of all three add up to a whole one. */
export const MROPE_TABLES = AXES.map((axis) => ({
  cos: `cos_table_${axis}`,
  sin: `sin_table_${axis}`,
}));

/** Frequency i turns by axis i mod 3 while i is below three times that axis's section, else by time (Qwen3-VL). */
export const turnsInThrees = (headDim: number, sections: readonly number[]): readonly number[] =>
  Array.from({ length: headDim / 2 }, (_, frequency) =>
    frequency < 3 * (sections[frequency % 3] ?? 0) ? frequency % 3 : 0,
  );

function tablesByAxis(
  held: Readonly<Record<string, Tensor>>,
  turns: readonly number[],
): Record<string, Tensor> {
  const cut = (table: Tensor, axis: number): Tensor => {
    const data = table.data.slice() as Float32Array;
    for (let at = 0; at < data.length; at++) if (turns[at % turns.length] !== axis) data[at] = 0;
    return { ...table, data };
  };
  const { cos_table: cosTable, sin_table: sinTable } = held;
  if (!cosTable || !sinTable) return {};
  return Object.fromEntries(
    MROPE_TABLES.flatMap(({ cos, sin }, axis) => [
      [cos, cut(cosTable, axis)],
      [sin, cut(sinTable, axis)],
    ]),
  );
}

function recipesByAxis(
  { cos_table: cosTable, sin_table: sinTable }: Readonly<Record<string, InputRecipe>>,
  turns: readonly number[],
): Record<string, InputRecipe> {
  if (cosTable?.made !== 'rotary' || sinTable?.made !== 'rotary') return {};
  return Object.fromEntries(
    MROPE_TABLES.flatMap(({ cos, sin }, axis) => {
      const kept = turns.flatMap((by, frequency) => (by === axis ? [frequency] : []));
      return [
        [cos, { ...cosTable, kept }],
        [sin, { ...sinTable, kept }],
      ];
    }),
  );
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
  const spans = spansOf(inserts);
  // By how much positions are ahead of places, and which span comes next.
  let [shift, next] = [0, 0];
  for (let token = from; token < to; token++) {
    const place = places[token] as number;
    for (let span = spans[next]; span && span.start + span.count <= place; span = spans[++next])
      shift += span.extent - span.count;
    const span = spans[next];
    const isText = span === undefined || place < span.start;
    const offsets = isText ? [0, 0, 0] : span.offsetsOf(place - span.start);
    const first = (isText ? place : span.start) + shift;
    for (const [axis, positions] of axes.entries()) positions[token] = first + (offsets[axis] ?? 0);
  }
}

/** Tokens that are not placed as words are. */
interface Span {
  readonly start: number;
  readonly count: number;
  /** Positions that they take. */
  readonly extent: number;
  offsetsOf(row: number): readonly number[];
}

function spansOf(inserts: readonly Insert[]): Span[] {
  const spans: Span[] = [];
  for (const [index, insert] of inserts.entries()) {
    const { placed, start, input } = insert;
    if (placed === undefined) {
      const offsets = (row: number) => offsetsOf(insert, row);
      spans.push({ start, count: input.count, extent: extentOf(insert), offsetsOf: offsets });
    } else if (placed !== inserts[index - 1]?.placed)
      spans.push({ ...placed, count: placed.offsets.length, offsetsOf: (row) => placed.offsets[row] ?? [] });
  }
  return spans;
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
