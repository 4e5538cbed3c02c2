import { toDType } from '../../dtype.js';
import type { EncoderInput } from '../../media/index.js';
import { int64 } from '../integers.js';
import type { StepInput } from '../step-input.js';

/** What an encoder of sound reads: three frames of a spectrogram side by side, and which of what comes of them belong together. */
export const SOUND = {
  frames: 'mel_frames',
  triples: 'frame_triples',
  positions: 'sound_positions',
} as const;

/** Frames that a convolution sees at once. */
const KERNEL = 3;

const rowsOf = (inputs: readonly EncoderInput[]): number => inputs.reduce((sum, { rows }) => sum + rows, 0);

/**
 * `mel_frames` [2 * rows, 3 * bins] in the model's dtype: what a convolution of three frames sees at each of them,
 * bin by bin. `frame_triples` i64 [rows, 3]: for each row which results of it a second convolution sees, every other
 * of them; where there is none, a row of zeros behind all. `sound_positions` i64 [rows]: places within the sound.
 * What is encoded holds the frames themselves, [frames, bins]. `window`: rows of a stretch that is read as if it were
 * a sound of its own; undefined: all. `before`: how many of the three frames come before a frame's own.
 */
export const sound = (bins: number, window = Number.POSITIVE_INFINITY, before = 1): StepInput => ({
  names: Object.values(SOUND),
  describe: ({ rows, dtype }) => ({
    [SOUND.frames]: { dtype, shape: [2 * rows, KERNEL * bins] },
    [SOUND.triples]: { dtype: 'i64', shape: [rows, KERNEL] },
    [SOUND.positions]: { dtype: 'i64', shape: [rows] },
  }),
  make({ encoderInputs = [] }, { dtype }) {
    const rows = rowsOf(encoderInputs);
    const frames = new Float32Array(2 * rows * KERNEL * bins);
    const triples = new Int32Array(KERNEL * rows);
    const positions = new Int32Array(rows);
    let first = 0;
    for (const input of encoderInputs) {
      const known = input.data.length / bins;
      spread(input, { bins, span: 2 * window, before }, frames.subarray(2 * first * KERNEL * bins));
      for (let row = 0; row < input.rows; row++) {
        const [place, middle] = [row % window, 2 * (first + row)];
        const last = place === 0 ? 2 * rows : middle - 1;
        triples.set([last, middle, 2 * row + 1 < known ? middle + 1 : 2 * rows], KERNEL * (first + row));
        positions[first + row] = place;
      }
      first += input.rows;
    }
    return {
      [SOUND.frames]: toDType(frames, [2 * rows, KERNEL * bins], dtype),
      [SOUND.triples]: { ...int64(triples), shape: [rows, KERNEL] },
      [SOUND.positions]: int64(positions),
    };
  },
});

/**
 * Of each frame of a sound three about it, `before` of them before it, within `span` frames; zeros where there is none.
 */
function spread(
  { data, rows }: EncoderInput,
  { bins, span, before }: { readonly bins: number; readonly span: number; readonly before: number },
  result: Float32Array,
): void {
  const known = data.length / bins;
  for (let frame = 0; frame < 2 * rows; frame++)
    for (let k = 0; k < KERNEL; k++) {
      const from = frame + k - before;
      if (from < 0 || from >= known || Math.floor(from / span) !== Math.floor(frame / span)) continue;
      for (let bin = 0; bin < bins; bin++)
        result[(frame * bins + bin) * KERNEL + k] = data[from * bins + bin] as number;
    }
}

/** Which rows of a sound become one token. */
export const PAIRED_ROWS = { even: 'even_rows', odd: 'odd_rows' } as const;

/**
 * `even_rows` and `odd_rows` i64 [tokens]: the pairs of rows that become tokens; of an odd number the last becomes
 * none.
 */
export const pairedRows: StepInput = {
  names: Object.values(PAIRED_ROWS),
  describe({ rows }) {
    const tokens = { dtype: 'i64', shape: [Math.max(1, Math.floor(rows / 2))] } as const;
    return { [PAIRED_ROWS.even]: tokens, [PAIRED_ROWS.odd]: tokens };
  },
  make({ encoderInputs = [] }) {
    const even: number[] = [];
    let first = 0;
    for (const { rows, count } of encoderInputs) {
      for (let token = 0; token < count; token++) even.push(first + 2 * token);
      first += rows;
    }
    return {
      [PAIRED_ROWS.even]: int64(Int32Array.from(even)),
      [PAIRED_ROWS.odd]: int64(Int32Array.from(even, (row) => row + 1)),
    };
  },
};
