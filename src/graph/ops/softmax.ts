import { fixed, lackingLists, type OpDefinition, unless } from './definition.js';

/** x -> softmax over the given axes, which are consecutive, together. */
export interface SoftmaxParam {
  readonly axes: readonly number[];
}

export const softmax: OpDefinition<'Softmax', SoftmaxParam> = {
  type: 'Softmax',
  lacks: lackingLists('axes'),
  arity: fixed(1, 1),
  shapes(inputs, { axes }) {
    for (const axis of axes) inputs.axis(0, axis);
    return [inputs.at(0)];
  },
  atb: {
    // softmax_operation.cpp, ParamCheck. Of [-1, 0] the second is refused, too.
    problems: ({ axes }) => [
      ...unless(axes.length > 0, 'axes must name one'),
      ...unless(
        axes.every((axis, index) => index === 0 || (axis !== 0 && axis === (axes[index - 1] ?? 0) + 1)),
        `axes must be consecutive, found [${axes}]`,
      ),
      ...unless(
        axes.every((axis) => axis >= -1),
        `axes must be -1 or more, found [${axes}]`,
      ),
    ],
  },
};
