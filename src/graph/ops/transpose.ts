import { fixed, lackingLists, type OpDefinition } from './definition.js';

/** x -> x with axis `perm[i]` in place i. */
export interface TransposeParam {
  readonly perm: readonly number[];
}

export const transpose: OpDefinition<'Transpose', TransposeParam> = {
  type: 'Transpose',
  lacks: lackingLists('perm'),
  arity: fixed(1, 1),
  shapes(inputs, { perm }) {
    const { dtype, shape } = inputs.at(0);
    const sorted = [...perm].sort((a, b) => a - b);
    if (perm.length !== shape.length || sorted.some((axis, index) => axis !== index)) {
      inputs.fail(`perm [${perm}] is not an order of the ${shape.length} axes`);
    }
    return [{ dtype, shape: perm.map((axis) => shape[axis] ?? 0) }];
  },
};
