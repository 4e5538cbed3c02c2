import { toDType } from '../../dtype.js';
import { LINE_END, SUMMANDS } from '../../media/index.js';
import { int64 } from '../integers.js';
import type { StepInput } from '../step-input.js';

/** The rows that a token is the sum of, and how much each counts. */
export const PACKED_ROWS = Array.from({ length: SUMMANDS }, (_, summand) => ({
  rows: `packed_rows_${summand}`,
  shares: `packed_shares_${summand}`,
}));

/** Which rows of what a projector gives become tokens. */
export const LINE_ROWS = 'line_rows';

/**
 * Of tokens that are put together before they come to the size of words: `line_rows` i64 [tokens], each its own, but where a
 * line ends the one that stands behind all. `packedRows` gives such a token any row.
 */
export const lineRows: StepInput = {
  names: [LINE_ROWS],
  describe: ({ rows }) => ({ [LINE_ROWS]: { dtype: 'i64', shape: [rows] } }),
  make({ encoderInputs = [] }) {
    const packed = encoderInputs.flatMap(({ shares }) => [...(shares?.rows[0] ?? [])]);
    const places = packed.map((row, token) => (row === LINE_END ? packed.length : token));
    return { [LINE_ROWS]: int64(Int32Array.from(places)) };
  },
};

/**
 * Of pictures whose tokens are put together of an encoder's rows: `packed_rows_0` i64 [tokens], of each token the row,
 * those that are not the encoder's standing behind all: -1 the first of them, as LINE_END, -2 the second. `area`: rows of
 * the encoder's input that become one of its own; `hasOthers`: whether there are any behind all, else the first row of all
 * takes their place. `isMixed`: there are four, and `packed_shares_0` to 3 [tokens, 1] in the
 * model's dtype say how much each counts.
 */
export const packedRows = (isMixed: boolean, area = 1, hasOthers = true): StepInput => {
  const inputs = PACKED_ROWS.slice(0, isMixed ? SUMMANDS : 1);
  const namesOf = ({ rows, shares }: (typeof inputs)[number]): string[] =>
    isMixed ? [rows, shares] : [rows];
  return {
    names: inputs.flatMap(namesOf),
    describe: ({ rows: count, dtype }) =>
      Object.fromEntries(
        inputs.flatMap(({ rows, shares }) => [
          [rows, { dtype: 'i64', shape: [count] } as const],
          ...(isMixed ? [[shares, { dtype, shape: [count, 1] }] as const] : []),
        ]),
      ),
    make({ encoderInputs = [] }, { dtype }) {
      const total = encoderInputs.reduce((sum, { rows }) => sum + Math.round(rows / area), 0);
      const made = inputs.map(({ rows, shares: shareName }, summand) => {
        const [places, shares]: [number[], number[]] = [[], []];
        let first = 0;
        for (const { rows: own, shares: packed } of encoderInputs) {
          for (const row of packed?.rows[summand] ?? [])
            places.push(row >= 0 ? first + row : hasOthers ? total + LINE_END - row : 0);
          for (const share of packed?.shares[summand] ?? []) shares.push(share);
          first += Math.round(own / area);
        }
        const values = toDType(Float32Array.from(shares), [shares.length, 1], dtype);
        return { [rows]: int64(Int32Array.from(places)), ...(isMixed && { [shareName]: values }) };
      });
      return Object.assign({}, ...made);
    },
  };
};
