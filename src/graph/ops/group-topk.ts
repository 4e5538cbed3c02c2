import { fixed, type OpDefinition, unless } from './definition.js';

/**
 * x[tokens, experts], a table of indices i32 -> x in place, of whose groups of neighbours only the `k` of the highest
 * scores stay, others becoming 0. A score is a group's largest number, or with `groupMultiFlag` 1 the sum of its n largest.
 */
export interface GroupTopkParam {
  readonly groupNum: number;
  readonly k: number;
  /** ATB's parser wants it, and as an integer. */
  readonly groupMultiFlag: 0 | 1;
  readonly n: number;
}

/** Indices that ATB wants to read (group_topk_operation.cpp). */
export const GROUP_INDICES = 1024;

export const groupTopk: OpDefinition<'GroupTopk', GroupTopkParam> = {
  type: 'GroupTopk',
  arity: fixed(2, 1),
  shapes(inputs, { groupNum }) {
    const x = inputs.at(0, 2);
    if (inputs.size(0, 1) % groupNum !== 0)
      inputs.fail(`${inputs.size(0, 1)} experts are not ${groupNum} groups`);
    return [x];
  },
  inPlace: () => ({ 0: 0 }),
  atb: {
    problems: (_, [, indices]) =>
      unless(
        indices?.shape.join() === `${GROUP_INDICES}`,
        `the indices must be [${GROUP_INDICES}], found [${indices?.shape}]`,
      ),
  },
};
