import { fixed, type NoParam, type OpDefinition } from './definition.js';
import { halfInputProblems } from './integer-matmul.js';

/** x -> int8 per row, scale[rows]; symmetric. */
export const dynamicQuant: OpDefinition<'DynamicQuant', NoParam> = {
  type: 'DynamicQuant',
  arity: fixed(1, 2),
  shapes(inputs) {
    const { shape } = inputs.at(0);
    return [
      { dtype: 'i8', shape },
      { dtype: 'f32', shape: shape.slice(0, -1) },
    ];
  },
  atb: { problems: (_, inputs) => halfInputProblems(inputs) },
};
