import { int64 } from './integers.js';
import type { StepInput } from './step-input.js';

/** Rows of pictures of one size, before each of which stands one that is no patch. */
export const SQUARE = { rows: 'picture_rows', positions: 'picture_positions', kept: 'kept_rows' } as const;

/**
 * For pictures of `count` patches each, behind a row that stands for the whole: `picture_rows` i64 [rows], which patch each
 * row is, the number of all patches where it is none; `picture_positions` i64 [rows], places within the picture;
 * `kept_rows` i64 [tokens], the rows that become tokens, all or all but the first of each picture.
 */
export const squarePictures = (count: number, keepsFirst: boolean): StepInput => ({
  names: Object.values(SQUARE),
  describe({ rows }) {
    const pictures = Math.max(1, Math.floor(rows / count));
    const desc = (each: number) => ({ dtype: 'i64', shape: [pictures * each] }) as const;
    return {
      [SQUARE.rows]: desc(count + 1),
      [SQUARE.positions]: desc(count + 1),
      [SQUARE.kept]: desc(keepsFirst ? count + 1 : count),
    };
  },
  make({ encoderInputs = [] }) {
    const pictures = encoderInputs.length;
    const each = count + 1;
    const [rows, positions] = [new Int32Array(pictures * each), new Int32Array(pictures * each)];
    const kept: number[] = [];
    for (let at = 0; at < rows.length; at++) {
      const [picture, place] = [Math.floor(at / each), at % each];
      rows[at] = place === 0 ? pictures * count : picture * count + place - 1;
      positions[at] = place;
      if (place > 0 || keepsFirst) kept.push(at);
    }
    return {
      [SQUARE.rows]: int64(rows),
      [SQUARE.positions]: int64(positions),
      [SQUARE.kept]: int64(Int32Array.from(kept)),
    };
  },
});
