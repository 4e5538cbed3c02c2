import { fixed, type NoParam, type OpDefinition } from './definition.js';

/** x[..., n] -> the sums of absolute values [..., 1]. */
export const vectorNorm: OpDefinition<'VectorNorm', NoParam> = {
  type: 'VectorNorm',
  arity: fixed(1, 1),
  shapes(inputs) {
    const { dtype, shape } = inputs.at(0);
    return [{ dtype, shape: shape.with(-1, 1) }];
  },
};
