import { toDType } from '../dtype.js';
import { int64 } from './integers.js';
import type { StepInput } from './step-input.js';

/** What an encoder of sound reads: three frames of a spectrogram side by side, and which of what comes of them belong together. */
export const SOUND = {
  frames: 'mel_frames',
  triples: 'frame_triples',
  positions: 'sound_positions',
  evenRows: 'even_rows',
  oddRows: 'odd_rows',
} as const;

/**
 * `mel_frames` [2 * rows, features] in the model's dtype: what a convolution of three frames sees at each of them.
 * `frame_triples` i64 [rows, 3]: for each row which results of it a second convolution sees, every other of them; what is
 * before the first is a row of zeros behind all. `sound_positions` i64 [rows]: places within the sound. `even_rows` and
 * `odd_rows` i64 [tokens]: the pairs of rows that become tokens.
 */
export const sound = (features: number): StepInput => ({
  names: Object.values(SOUND),
  describe({ rows, dtype }) {
    const tokens = { dtype: 'i64', shape: [Math.max(1, Math.floor(rows / 2))] } as const;
    return {
      [SOUND.frames]: { dtype, shape: [2 * rows, features] },
      [SOUND.triples]: { dtype: 'i64', shape: [rows, 3] },
      [SOUND.positions]: { dtype: 'i64', shape: [rows] },
      [SOUND.evenRows]: tokens,
      [SOUND.oddRows]: tokens,
    };
  },
  make({ encoderInputs = [] }, { dtype }) {
    const rows = encoderInputs.reduce((sum, input) => sum + input.rows, 0);
    const frames = new Float32Array(2 * rows * features);
    const triples = new Int32Array(3 * rows);
    const positions = new Int32Array(rows);
    const [even, odd]: [number[], number[]] = [[], []];
    let first = 0;
    for (const input of encoderInputs) {
      frames.set(input.data, 2 * first * features);
      for (let row = 0; row < input.rows; row++) {
        const middle = 2 * (first + row);
        triples.set([row === 0 ? 2 * rows : middle - 1, middle, middle + 1], 3 * (first + row));
        positions[first + row] = row;
      }
      for (let token = 0; token < input.count; token++) {
        even.push(first + 2 * token);
        odd.push(first + 2 * token + 1);
      }
      first += input.rows;
    }
    return {
      [SOUND.frames]: toDType(frames, [2 * rows, features], dtype),
      [SOUND.triples]: { ...int64(triples), shape: [rows, 3] },
      [SOUND.positions]: int64(positions),
      [SOUND.evenRows]: int64(Int32Array.from(even)),
      [SOUND.oddRows]: int64(Int32Array.from(odd)),
    };
  },
});
