import type { OpDefinition } from './definition.js';
import { STATE_INPUTS, stateOf } from './state.js';

/**
 * The state space of Mamba-2 (arXiv:2405.21060): rows[tokens, heads * headSize + 2 * groups * stateSize], which are x, B and
 * C side by side, steps[tokens, heads], and f32[heads] of log decay, of what steps are biased by, and of D, by which x is
 * added to what comes out; state of heads * stateSize * headSize numbers -> [tokens, heads * headSize], and the state in
 * place. With `byChannel` it is that of Mamba (arXiv:2312.00752): steps[tokens, heads * headSize], log decays
 * f32[stateSize, heads * headSize], and f32[heads * headSize] of both others.
 */
export interface SelectiveScanParam {
  readonly heads: number;
  readonly headSize: number;
  readonly stateSize: number;
  /** Of B and C, each of which as many neighbouring heads share; 1 when absent. */
  readonly groups?: number;
  /** Between which steps are kept; as they are when absent. */
  readonly leastStep?: number;
  readonly mostStep?: number;
  /** Whether each number of a head has a step of its own; false when absent. */
  readonly byChannel?: boolean;
}

const STATE = 5;

export const selectiveScan: OpDefinition<'SelectiveScan', SelectiveScanParam> = {
  type: 'SelectiveScan',
  keys: {
    heads: 'integer',
    headSize: 'integer',
    stateSize: 'integer',
    groups: 'integer',
    leastStep: 'number',
    mostStep: 'number',
    byChannel: 'bool',
  },
  arity: () => ({ inputs: STATE + STATE_INPUTS, outputs: 2 }),
  inPlace: () => ({ 1: STATE }),
  shapes(inputs, { heads, headSize, stateSize, groups = 1, byChannel = false }) {
    const { dtype } = inputs.at(0, 2);
    const tokens = inputs.size(0, 0);
    const values = heads * headSize;
    inputs.equal('columns of x, B and C', inputs.size(0, 1), values + 2 * groups * stateSize);
    const steps = byChannel ? values : heads;
    inputs.sameShape(1, [tokens, steps]);
    inputs.sameShape(2, byChannel ? [stateSize, values] : [heads]);
    for (const perStep of [3, 4]) inputs.sameShape(perStep, [steps]);
    return [{ dtype, shape: [tokens, values] }, stateOf(inputs, STATE, values * stateSize)];
  },
};
