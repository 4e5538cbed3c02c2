import { int32, int64 } from '../integers.js';
import type { StepInput } from '../step-input.js';

/** Rows of pictures of any size before each of which learned ones stand. */
export const LED = { rows: 'led_rows', lens: 'led_len', kept: 'kept_rows' } as const;

/**
 * For pictures of any size before whose patches `count` learned rows stand: `led_rows` i64 [patches + pictures * count],
 * of all patches, behind which the learned rows stand once, those of each picture, the learned first; `led_len` i32
 * [pictures], how many each has then; `kept_rows` i64 [patches], where patches are among these.
 */
export const ledRows = (count: number): StepInput => ({
  names: Object.values(LED),
  describe: ({ rows, batch }) => ({
    [LED.rows]: { dtype: 'i64', shape: [rows + batch * count] },
    [LED.lens]: { dtype: 'i32', shape: [batch] },
    [LED.kept]: { dtype: 'i64', shape: [rows] },
  }),
  make({ encoderInputs = [] }) {
    const total = encoderInputs.reduce((sum, { rows }) => sum + rows, 0);
    const [rows, kept]: [number[], number[]] = [[], []];
    for (const { rows: own } of encoderInputs) {
      for (let learned = 0; learned < count; learned++) rows.push(total + learned);
      for (let patch = 0; patch < own; patch++) {
        const first = kept.length;
        kept.push(rows.length);
        rows.push(first);
      }
    }
    return {
      [LED.rows]: int64(Int32Array.from(rows)),
      [LED.lens]: int32(Int32Array.from(encoderInputs, ({ rows: own }) => own + count)),
      [LED.kept]: int64(Int32Array.from(kept)),
    };
  },
});
