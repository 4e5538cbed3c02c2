import { toDType } from '../dtype.js';
import { ropeFrequencies } from './rotary/frequencies.js';
import type { RopeConfig } from './rotary/rope-config.js';
import type { StepInput } from './step-input.js';

/** Positions as numbers, and by how much a head turns from one to the next before that is learned. */
export const POSITION_NUMBERS = 'position_numbers';
export const ROTARY_FREQUENCIES = 'rotary_frequencies';

/**
 * `position_numbers` f32 [tokens, 1], and `rotary_frequencies` f32 [1, rotaryDim / 2], which stay for the run: what a
 * model makes cosines and sines of that has a learned factor of each frequency.
 */
export const learnedRotary = (rope: RopeConfig): StepInput => ({
  names: [POSITION_NUMBERS, ROTARY_FREQUENCIES],
  describe: ({ rows }) => ({
    [POSITION_NUMBERS]: { dtype: 'f32', shape: [rows, 1] },
    [ROTARY_FREQUENCIES]: { dtype: 'f32', shape: [1, rope.rotaryDim / 2] },
  }),
  hold: () => {
    const { inverse } = ropeFrequencies(rope, 1);
    return { [ROTARY_FREQUENCIES]: toDType(inverse, [1, inverse.length], 'f32') };
  },
  make: ({ positions }) => ({
    [POSITION_NUMBERS]: toDType(Float32Array.from(positions), [positions.length, 1], 'f32'),
  }),
});

/** Logarithms of positions, counted from 1. */
export const POSITION_LOGS = 'position_logs';

/** `position_logs` [tokens, 1] in the model's dtype: ln(1 + position). */
export const positionLogs: StepInput = {
  names: [POSITION_LOGS],
  describe: ({ rows, dtype }) => ({ [POSITION_LOGS]: { dtype, shape: [rows, 1] } }),
  make: ({ positions }, { dtype }) => ({
    [POSITION_LOGS]: toDType(Float32Array.from(positions, Math.log1p), [positions.length, 1], dtype),
  }),
};
