import { fixed, type NoParam, type OpDefinition } from './definition.js';

/** condition, x, y -> x where the condition is not 0, else y. */
export const where: OpDefinition<'Where', NoParam> = {
  type: 'Where',
  arity: fixed(3, 1),
  shapes(inputs) {
    inputs.sameDtype(1, 2);
    return [{ dtype: inputs.at(1).dtype, shape: inputs.broadcast(0, 1, 2) }];
  },
};
