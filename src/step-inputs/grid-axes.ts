import { int64 } from './integers.js';
import type { GridAxis } from './recipe.js';
import type { RopeConfig } from './rotary/rope-config.js';
import { rotary } from './rotary.js';
import type { Step } from './step.js';
import type { StepInput } from './step-input.js';

/** Where a token lies in its picture, and which picture of the text it belongs to. */
export const GRID_IDS = {
  column: 'column_position_ids',
  row: 'row_position_ids',
  picture: 'picture_position_ids',
} as const;
const AXES = Object.keys(GRID_IDS) as GridAxis[];

/**
 * Positions of tokens in columns, in rows and by pictures, i64 [tokens] each, beside `rotary`'s `position_ids`, which
 * count tokens whatever they are, and its tables. A picture's column, row and number begin at 0. Where more tokens stand
 * for it than its grid has places, as many before it as behind, those are text; of text each axis has the token's place
 * (transformers 5.24, `HunYuanVLModel.get_rope_index`). Decode reads `position_ids` alone.
 */
export function gridAxes(rope: RopeConfig): StepInput {
  const tables = rotary(rope);
  const { hold } = tables;
  return {
    names: [...tables.names, ...Object.values(GRID_IDS)],
    describe(sizes) {
      const ids = { dtype: 'i64', shape: [sizes.rows] } as const;
      const described = Object.fromEntries(AXES.map((axis) => [GRID_IDS[axis], ids]));
      return { ...tables.describe(sizes), ...described };
    },
    recipes: (kind) => ({
      ...tables.recipes?.(kind),
      ...Object.fromEntries(AXES.map((axis) => [GRID_IDS[axis], { made: 'grid_positions', axis }])),
    }),
    ...(hold && { hold }),
    make: (step, run) => ({ ...tables.make?.(step, run), ...positionsInGrids(step) }),
  };
}

function positionsInGrids({ positions: places, queryLens, inserts }: Step) {
  const axes = { column: places.slice(), row: places.slice(), picture: places.slice() };
  let first = 0;
  for (const [sequence, count] of queryLens.entries()) {
    for (const [picture, { start, input }] of (inserts?.[sequence] ?? []).entries()) {
      if (input.grid === undefined) continue;
      const { rows, columns } = input.grid;
      const begin = start + (input.count - rows * columns) / 2;
      for (let token = first; token < first + count; token++) {
        const within = (places[token] as number) - begin;
        if (within < 0 || within >= rows * columns) continue;
        axes.column[token] = within % columns;
        axes.row[token] = Math.floor(within / columns);
        axes.picture[token] = picture;
      }
    }
    first += count;
  }
  return Object.fromEntries(AXES.map((axis) => [GRID_IDS[axis], int64(axes[axis])]));
}
