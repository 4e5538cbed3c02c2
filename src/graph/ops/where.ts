import { fixed, type NoParam, type OpDefinition, unless } from './definition.js';
import { broadcastsTo } from './inputs.js';

/** condition, x, y -> x where the condition is not 0, else y. */
export const where: OpDefinition<'Where', NoParam> = {
  type: 'Where',
  arity: fixed(3, 1),
  shapes(inputs) {
    inputs.sameDtype(1, 2);
    return [{ dtype: inputs.at(1).dtype, shape: inputs.broadcast(0, 1, 2) }];
  },
  atb: {
    // where_operation.cpp, DimsCheck: neither x nor y grows to the condition.
    problems: (_, [condition, ...branches]) =>
      branches.flatMap(({ shape }, index) =>
        unless(
          condition === undefined || broadcastsTo(condition.shape, shape),
          `the condition [${condition?.shape}] must broadcast to input ${index + 1}, [${shape}]`,
        ),
      ),
  },
};
