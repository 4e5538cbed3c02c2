import { fixed, type OpDefinition } from './definition.js';

/** target, source: writes source into target[starts:ends:strides], in place; no outputs. */
export interface SetValueParam {
  readonly starts: readonly number[];
  readonly ends: readonly number[];
  readonly strides: readonly number[];
}

export const setValue: OpDefinition<'SetValue', SetValueParam> = {
  type: 'SetValue',
  arity: fixed(2, 0),
  writes: [0],
  shapes(inputs, { starts, ends, strides }) {
    inputs.equal('the number of starts', starts.length, inputs.at(0).shape.length);
    inputs.sameDtype(0, 1);
    const box = starts.map((start, axis) => {
      if ((ends[axis] ?? 0) > inputs.size(0, axis))
        inputs.fail(`ends [${ends}] leaves [${inputs.at(0).shape}]`);
      return Math.ceil(((ends[axis] ?? 0) - start) / (strides[axis] ?? 1));
    });
    inputs.sameShape(1, box);
    return [];
  },
};
