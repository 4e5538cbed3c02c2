import { count, lacking, type OpDefinition } from './definition.js';

/**
 * What becomes of a product of tensors that broadcast, rounded once. With `add` x, y, z -> x * y + z, all of which broadcast;
 * with `sum` x, y -> the sums of x * y, of three axes at least, along axis 1, which is removed.
 */
export interface FusedMultiplyParam {
  readonly follow: 'add' | 'sum';
}

export const fusedMultiply: OpDefinition<'FusedMultiply', FusedMultiplyParam> = {
  type: 'FusedMultiply',
  keys: { follow: ['add', 'sum'] },
  lacks: (param) => lacking(param, 'follow', '"add" or "sum"'),
  arity: ({ follow }) => ({ inputs: 2 + count(follow === 'add'), outputs: 1 }),
  shapes(inputs, { follow }) {
    const { dtype } = inputs.at(0);
    inputs.sameDtype(0, 1);
    if (follow === 'add') {
      inputs.sameDtype(0, 2);
      return [{ dtype, shape: inputs.broadcast(0, 1, 2) }];
    }
    const shape = inputs.broadcast(0, 1);
    if (shape.length < 3) inputs.fail(`[${shape}] has fewer than three axes`);
    return [{ dtype, shape: shape.toSpliced(1, 1) }];
  },
};
