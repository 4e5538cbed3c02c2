import { fixed, type OpDefinition } from './definition.js';

/**
 * x[tokens, k], chosen i32[tokens, topkNum] -> the rows of x sorted by their experts [tokens * topkNum, k], the sorted row
 * of each choice i32[tokens * topkNum], and how many rows the experts up to each one have, i32[expertNum].
 */
export interface MoeInitRoutingParam {
  readonly topkNum: number;
  readonly expertNum: number;
}

export const moeInitRouting: OpDefinition<'MoeInitRouting', MoeInitRoutingParam> = {
  type: 'MoeInitRouting',
  arity: fixed(2, 3),
  shapes(inputs, { topkNum, expertNum }) {
    const { dtype } = inputs.at(0, 2);
    inputs.sameShape(1, [inputs.size(0, 0), topkNum]);
    const rows = inputs.size(0, 0) * topkNum;
    return [
      { dtype, shape: [rows, inputs.size(0, 1)] },
      { dtype: 'i32', shape: [rows] },
      { dtype: 'i32', shape: [expertNum] },
    ];
  },
};
