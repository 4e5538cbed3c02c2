import { fixed, lackingLists, type OpDefinition, onlyKnown, unless } from './definition.js';

/** x -> running sums along one axis. */
export interface CumsumParam {
  readonly axes: readonly number[];
  readonly exclusive?: boolean;
  readonly reverse?: boolean;
}

export const cumsum: OpDefinition<'Cumsum', CumsumParam> = {
  type: 'Cumsum',
  lacks: lackingLists('axes'),
  arity: fixed(1, 1),
  shapes(inputs, { axes }) {
    for (const axis of axes) inputs.axis(0, axis);
    return [inputs.at(0)];
  },
  atb: {
    // cumsum_operation.cpp, ParamCheck and InferShapeCheckImpl.
    problems: (param) => [
      ...unless(
        param.axes.length === 1 && (param.axes[0] ?? 0) >= 0,
        `axes must hold one number, which is not negative, found [${param.axes}]`,
      ),
      ...onlyKnown(param, { exclusive: false, reverse: false }),
    ],
  },
};
