import { fixed, lackingLists, type OpDefinition } from './definition.js';

/** x -> a box of x. Offsets may be negative (from the end); a size of -1 reaches the end. */
export interface SliceParam {
  readonly offsets: readonly number[];
  readonly size: readonly number[];
}

export const slice: OpDefinition<'Slice', SliceParam> = {
  type: 'Slice',
  lacks: lackingLists('offsets', 'size'),
  arity: fixed(1, 1),
  shapes(inputs, { offsets, size }) {
    const { dtype, shape } = inputs.at(0);
    inputs.equal('the number of offsets', offsets.length, shape.length);
    inputs.equal('the number of sizes', size.length, shape.length);
    const out = shape.map((extent, axis) => {
      const offset = offsets[axis] ?? 0;
      const from = offset < 0 ? offset + extent : offset;
      const length = size[axis] === -1 ? extent - from : (size[axis] ?? 0);
      if (from < 0 || length < 1 || from + length > extent) {
        inputs.fail(`a slice of ${size[axis]} from ${offset} leaves axis ${axis} of [${shape}]`);
      }
      return length;
    });
    return [{ dtype, shape: out }];
  },
};
