import { fixed, lackingLists, type OpDefinition, unless } from './definition.js';

/** x -> the `num[0]` largest along the last axis, descending, and their indices. */
export interface SortParam {
  readonly num: readonly number[];
}

export const sort: OpDefinition<'Sort', SortParam> = {
  type: 'Sort',
  lacks: lackingLists('num'),
  arity: fixed(1, 2),
  shapes(inputs, { num }) {
    const { dtype, shape } = inputs.at(0);
    const kept = num[0] ?? 0;
    if (kept < 1 || kept > inputs.size(0, -1)) inputs.fail(`cannot keep ${kept} of ${inputs.size(0, -1)}`);
    const out = shape.with(-1, kept);
    return [
      { dtype, shape: out },
      { dtype: 'i32', shape: out },
    ];
  },
  atb: {
    section: () => 'SortOperationA2and950',
    // sort_operation.cpp, ParamCheckImpl.
    problems: ({ num }) => unless(num.length === 1, `num must hold one number, found [${num}]`),
  },
};
