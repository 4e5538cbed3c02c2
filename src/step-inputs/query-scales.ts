import { toDType } from '../dtype.js';
import type { StepInput } from './step-input.js';

/** By what the queries of each token are multiplied. */
export const QUERY_SCALES = 'query_scales';

/**
 * By what queries are multiplied: 1 + beta * ln(1 + floor((position + first) / length)), 1 below that length; or, with
 * a power, (1 + (position + first) / length) ** power.
 */
export type QueryScale = ({ readonly beta: number } | { readonly power: number }) & {
  readonly length: number;
  /** The number of the first position; 0 when absent. */
  readonly first?: 0 | 1;
};

/**
 * `query_scales` [tokens, 1] in the model's dtype: 1 + beta * ln(1 + floor((position + first) / length)), so that scores
 * of far tokens do not become alike (arXiv:2501.19399; transformers 5.24, `get_llama_4_attn_scale`); or, with a power,
 * (1 + (position + first) / length) ** power. Positions are counted from `first`.
 */
export const queryScales = ({ length, first = 0, ...growth }: QueryScale): StepInput => ({
  names: [QUERY_SCALES],
  describe: ({ rows, dtype }) => ({ [QUERY_SCALES]: { dtype, shape: [rows, 1] } }),
  recipes: () => ({ [QUERY_SCALES]: { made: 'query_scales', ...growth, length, first } }),
  make({ positions }, { dtype }) {
    const scaleOf = (position: number) =>
      'power' in growth
        ? (1 + (position + first) / length) ** growth.power
        : 1 + growth.beta * Math.log1p(Math.floor((position + first) / length));
    return { [QUERY_SCALES]: toDType(Float32Array.from(positions, scaleOf), [positions.length, 1], dtype) };
  },
});
