import { type Tensor, toDType } from '../../dtype.js';
import type { StepInput } from '../step-input.js';

/** By how much pairs of numbers of a row turn. */
export const TIMED_TURNS = { cos: 'turn_cos', sin: 'turn_sin' } as const;

/** How rows of a sound turn by the second at which they are. */
export interface TimedTurns {
  /** Of the frequencies, and how many stretches and rows make a whole turn of the slowest. */
  readonly theta: number;
  /** Frequencies by stretches, and as many by rows within them. */
  readonly frequencies: number;
  /** Rows of a whole stretch. */
  readonly rows: number;
  /** Seconds of a row. */
  readonly seconds: number;
}

const f32 = Math.fround;

/**
 * `turn_cos` and `turn_sin` [tokens, 2 * frequencies, 1] in the model's dtype: of each token of a sound the angles by which pairs of its numbers
 * turn: its stretch, then its place there, times the second at which it is, all rounded as the class rounds
 * (transformers 5.24, `MusicFlamingoRotaryEmbedding`).
 */
export function timedTurns({ theta, frequencies, rows, seconds }: TimedTurns): StepInput {
  const inverse = Array.from({ length: frequencies }, (_, i) => f32(1 / f32(theta ** f32(i / frequencies))));
  const angles = (stretch: number, row: number): number[] => {
    const second = f32(f32(f32(stretch * rows) * f32(seconds)) + f32(row * f32(seconds)));
    const turn = f32(f32(-second * 2) * f32(Math.PI));
    const along = f32(f32(row / theta) * f32(2 * Math.PI));
    const bases = [f32(stretch / theta), along];
    return bases.flatMap((base) => inverse.map((frequency) => f32(f32(base * frequency) * turn)));
  };
  return {
    names: Object.values(TIMED_TURNS),
    describe({ rows: count, dtype }) {
      const desc = { dtype, shape: [Math.max(1, Math.floor(count / 2)), 2 * frequencies, 1] } as const;
      return { [TIMED_TURNS.cos]: desc, [TIMED_TURNS.sin]: desc };
    },
    make({ encoderInputs = [] }, { dtype }) {
      const all = encoderInputs.flatMap(({ count, stretch = 0 }) =>
        Array.from({ length: count }, (_, row) => angles(stretch, row)).flat(),
      );
      const shape = [all.length / (2 * frequencies), 2 * frequencies, 1];
      const table = (of: (angle: number) => number): Tensor =>
        toDType(Float32Array.from(all, of), shape, dtype);
      return { [TIMED_TURNS.cos]: table(Math.cos), [TIMED_TURNS.sin]: table(Math.sin) };
    },
  };
}
