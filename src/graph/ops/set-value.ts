import { fixed, lackingLists, type OpDefinition, unless } from './definition.js';

/** target, source: writes source into target[starts:ends:strides], in place; no outputs. */
export interface SetValueParam {
  readonly starts: readonly number[];
  readonly ends: readonly number[];
  readonly strides: readonly number[];
}

export const setValue: OpDefinition<'SetValue', SetValueParam> = {
  type: 'SetValue',
  lacks: lackingLists('starts', 'ends', 'strides'),
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
  atb: {
    // set_value_operation.cpp, DimNumCheckImpl and DimsCheckImpl.
    problems({ starts, ends, strides }, [target, source]) {
      const others = target?.shape.slice(1).filter((size, axis) => size !== source?.shape[axis + 1]) ?? [];
      return [
        ...unless(
          ends.length === starts.length && strides.length === starts.length,
          `starts, ends and strides must be equally many, found ${[starts, ends, strides].map(({ length }) => length)}`,
        ),
        ...unless(
          strides.every((stride) => stride === 1),
          `strides must be 1, found [${strides}]`,
        ),
        ...unless(
          starts.every((start, axis) => start >= 0 && start < (ends[axis] ?? 0)),
          `starts must be from 0 and below ends, found [${starts}] and [${ends}]`,
        ),
        ...unless(
          target === undefined || source === undefined || others.length === 1,
          `of the axes behind the first just one may be written in part, found ${others.length}`,
        ),
      ];
    },
  },
};
