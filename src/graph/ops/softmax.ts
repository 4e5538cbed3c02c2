import { fixed, type OpDefinition, unless } from './definition.js';

/** x -> softmax over the given axes, which are consecutive, together. */
export interface SoftmaxParam {
  readonly axes: readonly number[];
}

export const softmax: OpDefinition<'Softmax', SoftmaxParam> = {
  type: 'Softmax',
  arity: fixed(1, 1),
  shapes(inputs, { axes }) {
    for (const axis of axes) inputs.axis(0, axis);
    return [inputs.at(0)];
  },
  atb: {
    problems: ({ axes }) =>
      unless(
        axes.every((axis, index) => index === 0 || axis === (axes[index - 1] ?? 0) + 1),
        `axes must be consecutive, found [${axes}]`,
      ),
  },
};
