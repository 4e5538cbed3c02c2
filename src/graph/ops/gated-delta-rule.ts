import type { OpDefinition } from './definition.js';
import { STATE_INPUTS, stateOf } from './state.js';

/**
 * Linear attention by the gated delta rule (arXiv:2412.06464): qkv[tokens, 2 * keyHeads * keySize + valueHeads * valueSize],
 * gates[tokens, 2 * valueHeads] (betas before their sigmoid, then steps), log decay f32[valueHeads], bias of steps
 * f32[valueHeads], state of valueHeads * keySize * valueSize numbers -> [tokens, valueHeads * valueSize], and the state in
 * place. Queries and keys are divided by their lengths, and queries by sqrt(keySize).
 */
export interface GatedDeltaRuleParam {
  readonly keyHeads: number;
  /** A multiple of keyHeads; neighbours share a query and a key. */
  readonly valueHeads: number;
  readonly keySize: number;
  readonly valueSize: number;
  /** What sigmoids of betas are multiplied by; 1 when absent. */
  readonly mostBeta?: number;
  /** Whether each row of a state has a step and a bias of its own (arXiv:2510.26692): [valueHeads * keySize] of each. */
  readonly decaysByKey?: boolean;
  /**
   * Below 0: the logarithm of a decay is lowerBound * sigmoid(exp(log decay) * (step + bias)). When absent, it is
   * -exp(log decay) * softplus(step + bias).
   */
  readonly lowerBound?: number;
}

const STATE = 4;

export const gatedDeltaRule: OpDefinition<'GatedDeltaRule', GatedDeltaRuleParam> = {
  type: 'GatedDeltaRule',
  keys: {
    keyHeads: 'integer',
    valueHeads: 'integer',
    keySize: 'integer',
    valueSize: 'integer',
    mostBeta: 'number',
    decaysByKey: 'bool',
    lowerBound: 'number',
  },
  arity: () => ({ inputs: STATE + STATE_INPUTS, outputs: 2 }),
  inPlace: () => ({ 1: STATE }),
  shapes(inputs, { keyHeads, valueHeads, keySize, valueSize, decaysByKey }) {
    const { dtype } = inputs.at(0, 2);
    const tokens = inputs.size(0, 0);
    const values = valueHeads * valueSize;
    inputs.equal('columns of qkv', inputs.size(0, 1), 2 * keyHeads * keySize + values);
    const steps = valueHeads * (decaysByKey ? keySize : 1);
    inputs.sameShape(1, [tokens, valueHeads + steps]);
    inputs.sameShape(2, [valueHeads]);
    inputs.sameShape(3, [steps]);
    return [{ dtype, shape: [tokens, values] }, stateOf(inputs, STATE, values * keySize)];
  },
};
