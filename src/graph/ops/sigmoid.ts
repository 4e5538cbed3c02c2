import { fixed, type NoParam, type OpDefinition } from './definition.js';

export const sigmoid: OpDefinition<'Sigmoid', NoParam> = {
  type: 'Sigmoid',
  arity: fixed(1, 1),
  shapes: (inputs) => [inputs.at(0)],
};
