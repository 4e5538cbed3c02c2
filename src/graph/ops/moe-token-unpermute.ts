import { fixed, type NoParam, type OpDefinition } from './definition.js';

/** rows[tokens * chosen, n], their places i32[tokens * chosen], probs[tokens, chosen] -> weighted sums [tokens, n]. */
export const moeTokenUnpermute: OpDefinition<'MoeTokenUnpermute', NoParam> = {
  type: 'MoeTokenUnpermute',
  arity: fixed(3, 1),
  shapes(inputs) {
    const { dtype } = inputs.at(0, 2);
    const tokens = inputs.size(2, 0);
    inputs.equal('rows', inputs.size(0, 0), tokens * inputs.size(2, 1));
    inputs.sameShape(1, [inputs.size(0, 0)]);
    return [{ dtype, shape: [tokens, inputs.size(0, 1)] }];
  },
};
