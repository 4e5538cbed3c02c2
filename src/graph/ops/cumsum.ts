import { fixed, type OpDefinition } from './definition.js';

/** x -> running sums along one axis. */
export interface CumsumParam {
  readonly axes: readonly number[];
  readonly exclusive?: boolean;
  readonly reverse?: boolean;
}

export const cumsum: OpDefinition<'Cumsum', CumsumParam> = {
  type: 'Cumsum',
  arity: fixed(1, 1),
  shapes(inputs, { axes }) {
    for (const axis of axes) inputs.axis(0, axis);
    return [inputs.at(0)];
  },
};
