import { fixed, type OpDefinition } from './definition.js';

/** a, b -> both along `concatDim`; exactly two inputs. */
export interface ConcatParam {
  readonly concatDim: number;
}

export const concat: OpDefinition<'Concat', ConcatParam> = {
  type: 'Concat',
  arity: fixed(2, 1),
  shapes(inputs, { concatDim }) {
    const axis = inputs.axis(0, concatDim);
    inputs.sameDtype(0, 1);
    inputs.sameShape(1, inputs.at(0).shape.with(axis, inputs.size(1, axis)));
    const { dtype, shape } = inputs.at(0);
    return [{ dtype, shape: shape.with(axis, inputs.size(0, axis) + inputs.size(1, axis)) }];
  },
};
