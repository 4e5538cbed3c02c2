import { fixed, type OpDefinition } from './definition.js';

/** x -> x without the axes. */
export interface ReduceParam {
  readonly reduceType: 'REDUCE_MAX' | 'REDUCE_MIN' | 'REDUCE_SUM';
  readonly axis: readonly number[];
}

export const reduce: OpDefinition<'Reduce', ReduceParam> = {
  type: 'Reduce',
  arity: fixed(1, 1),
  shapes(inputs, { axis }) {
    const { dtype, shape } = inputs.at(0);
    const gone = axis.map((a) => inputs.axis(0, a));
    return [{ dtype, shape: shape.filter((_, index) => !gone.includes(index)) }];
  },
  atb: { section: ({ reduceType }) => `ReduceOperation${reduceType === 'REDUCE_SUM' ? 'SUM' : ''}` },
};
