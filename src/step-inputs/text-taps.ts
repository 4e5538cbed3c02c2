import { int64 } from './integers.js';
import type { StepInput } from './step-input.js';

export const TEXT_TAPS = 'text_taps';

/**
 * For a convolution over the tokens of each text: `text_taps` i64 [tokens, taps], of each place that it sees the row of
 * the token there, counted by `offsets` from the token itself; beyond the text's ends a row behind all.
 */
export const textTaps = (offsets: readonly number[]): StepInput => ({
  names: [TEXT_TAPS],
  describe: ({ rows }) => ({ [TEXT_TAPS]: { dtype: 'i64', shape: [rows, offsets.length] } }),
  make({ seqLens }) {
    const total = seqLens.reduce((sum, length) => sum + length, 0);
    const taps = new Int32Array(total * offsets.length);
    let [first, at] = [0, 0];
    for (const length of seqLens) {
      for (let place = 0; place < length; place++)
        for (const offset of offsets) {
          const seen = place + offset;
          taps[at++] = seen >= 0 && seen < length ? first + seen : total;
        }
      first += length;
    }
    return { [TEXT_TAPS]: { ...int64(taps), shape: [total, offsets.length] } };
  },
});
