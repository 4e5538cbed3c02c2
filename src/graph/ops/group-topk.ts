import { fixed, lacking, type OpDefinition, unless } from './definition.js';

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
/** The most that it takes. */
const MAX_EXPERTS = 1024;

export const groupTopk: OpDefinition<'GroupTopk', GroupTopkParam> = {
  type: 'GroupTopk',
  // ATB's parser takes its own default for a string, and throws.
  lacks: (param) => lacking(param, 'groupMultiFlag', '0 or 1'),
  arity: fixed(2, 1),
  shapes(inputs, { groupNum }) {
    const x = inputs.at(0, 2);
    if (inputs.size(0, 1) % groupNum !== 0)
      inputs.fail(`${inputs.size(0, 1)} experts are not ${groupNum} groups`);
    return [x];
  },
  inPlace: () => ({ 0: 0 }),
  atb: {
    // group_topk_operation.cpp: CreateOperation and InTensorDescsCheck.
    problems({ groupNum, k, groupMultiFlag, n }, [x, indices]) {
      const experts = x?.shape[1] ?? 0;
      return [
        ...unless(
          indices?.shape.join() === `${GROUP_INDICES}`,
          `the indices must be [${GROUP_INDICES}], found [${indices?.shape}]`,
        ),
        ...unless(experts <= MAX_EXPERTS, `at most ${MAX_EXPERTS} experts, found ${experts}`),
        ...unless(
          1 <= groupNum && groupNum <= experts,
          `groupNum must be from 1 to ${experts}, found ${groupNum}`,
        ),
        ...unless(1 <= k && k <= groupNum, `k must be from 1 to groupNum ${groupNum}, found ${k}`),
        ...unless(
          groupMultiFlag === 0 || groupMultiFlag === 1,
          `groupMultiFlag must be 0 or 1, found ${groupMultiFlag}`,
        ),
        ...unless(
          groupMultiFlag !== 1 || (1 <= n && n <= experts / groupNum),
          `n must be from 1 to ${experts / groupNum}, a group's experts, found ${n}`,
        ),
      ];
    },
  },
};
