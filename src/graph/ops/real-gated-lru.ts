import type { OpDefinition } from './definition.js';
import { STATE_INPUTS, stateOf } from './state.js';

/**
 * The real-gated linear recurrent unit (arXiv:2402.19427, section 2.4): x[tokens, heads * headSize]; gates before their
 * sigmoids, [tokens, heads * 2 * headSize], of each head those of its input, then those of its decay; f32[heads, headSize]
 * of what either is biased by; f32[heads * headSize] of decays before their softplus; state of a number for each channel ->
 * [tokens, heads * headSize], and the state in place.
 */
export interface RealGatedLruParam {
  readonly heads: number;
  readonly headSize: number;
}

const STATE = 5;

export const realGatedLru: OpDefinition<'RealGatedLru', RealGatedLruParam> = {
  type: 'RealGatedLru',
  keys: { heads: 'integer', headSize: 'integer' },
  arity: () => ({ inputs: STATE + STATE_INPUTS, outputs: 2 }),
  inPlace: () => ({ 1: STATE }),
  shapes(inputs, { heads, headSize }) {
    const { dtype } = inputs.at(0, 2);
    const tokens = inputs.size(0, 0);
    const width = heads * headSize;
    inputs.equal('columns of x', inputs.size(0, 1), width);
    inputs.sameShape(1, [tokens, 2 * width]);
    for (const bias of [2, 3]) inputs.sameShape(bias, [heads, headSize]);
    inputs.sameShape(4, [width]);
    return [{ dtype, shape: [tokens, width] }, stateOf(inputs, STATE, width)];
  },
};
