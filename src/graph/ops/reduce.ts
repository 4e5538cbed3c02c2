import { fixed, lacking, lackingLists, type OpDefinition, unless } from './definition.js';

/** x -> x without the axes. */
export interface ReduceParam {
  readonly reduceType: 'REDUCE_MAX' | 'REDUCE_MIN' | 'REDUCE_SUM';
  readonly axis: readonly number[];
}

export const reduce: OpDefinition<'Reduce', ReduceParam> = {
  type: 'Reduce',
  lacks: (param) => [
    ...lacking(param, 'reduceType', 'REDUCE_MAX, REDUCE_MIN or REDUCE_SUM'),
    ...lackingLists('axis')(param),
  ],
  arity: fixed(1, 1),
  shapes(inputs, { axis }) {
    const { dtype, shape } = inputs.at(0);
    const gone = axis.map((a) => inputs.axis(0, a));
    return [{ dtype, shape: shape.filter((_, index) => !gone.includes(index)) }];
  },
  atb: {
    section: ({ reduceType }) => `ReduceOperation${reduceType === 'REDUCE_SUM' ? 'SUM' : ''}`,
    // reduce_operation.cpp, ParamCheck; tensor_check.cpp: a result has an axis.
    problems({ reduceType, axis }, [x]) {
      const type: string = reduceType;
      return [
        ...unless(type !== 'REDUCE_UNDEFINED', 'reduceType must be defined'),
        ...unless(axis.length > 0, 'axis must name one'),
        ...unless(
          axis.every((each) => each >= 0),
          `axis must not be negative, found [${axis}]`,
        ),
        ...unless(
          x === undefined || new Set(axis).size < x.shape.length,
          `axis must leave one, found [${axis}]`,
        ),
      ];
    },
  },
};
