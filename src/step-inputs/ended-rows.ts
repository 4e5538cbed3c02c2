import { int64 } from './integers.js';
import type { StepInput } from './step-input.js';

/** Which rows become the tokens of a sound. */
export const ENDED_ROWS = 'ended_rows';

/** How rows of a sound become tokens. */
export interface EndedRowSizes {
  /** How many of an input's rows is one. */
  readonly area: number;
  /** Of how many rows the first becomes a token. */
  readonly every: number;
}

/**
 * `ended_rows` i64 [tokens]: of each sound every so-manieth row, then a row of padding as often as its tokens want it, then that
 * of its end; these two stand behind the rows of all sounds.
 */
export const endedRows = ({ area, every }: EndedRowSizes): StepInput => ({
  names: [ENDED_ROWS],
  describe: ({ rows }) => ({
    [ENDED_ROWS]: { dtype: 'i64', shape: [Math.ceil(rows / area / every) + 1] },
  }),
  make({ encoderInputs = [] }) {
    const lens = encoderInputs.map(({ rows }) => rows / area);
    const total = lens.reduce((sum, length) => sum + length, 0);
    let first = 0;
    const wanted = encoderInputs.flatMap(({ count }, sound) => {
      const [own, start] = [Math.ceil((lens[sound] ?? 0) / every), first];
      first += lens[sound] ?? 0;
      return Array.from({ length: count }, (_, token) => {
        if (token === count - 1) return total + 1;
        return token < own ? start + token * every : total;
      });
    });
    return { [ENDED_ROWS]: int64(Int32Array.from(wanted)) };
  },
});
