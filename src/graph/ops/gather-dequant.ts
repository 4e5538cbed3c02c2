import { fixed, type OpDefinition } from './definition.js';
import { DTYPE_OF_ACL } from './inputs.js';

/** weight int8[n, k] (4 bits: [n, k / 2]), indices[m], scale[n, groups] -> rows of integer * scale [m, k]. */
export interface GatherDequantParam {
  readonly weightBits?: 8 | 4;
  /** 0: one scale for each row. */
  readonly quantGroupSize?: number;
  readonly outDataType: 'ACL_FLOAT' | 'ACL_FLOAT16' | 'ACL_BF16';
}

export const gatherDequant: OpDefinition<'GatherDequant', GatherDequantParam> = {
  type: 'GatherDequant',
  keys: {
    weightBits: [8, 4],
    quantGroupSize: 'integer',
    outDataType: ['ACL_FLOAT', 'ACL_FLOAT16', 'ACL_BF16'],
  },
  arity: fixed(3, 1),
  shapes(inputs, { weightBits = 8, outDataType }) {
    inputs.at(0, 2);
    inputs.equal('rows of scales', inputs.size(2, 0), inputs.size(0, 0));
    const k = (inputs.size(0, 1) * 8) / weightBits;
    const dtype = DTYPE_OF_ACL[outDataType] ?? inputs.fail(`cannot give ${outDataType}`);
    return [{ dtype, shape: [...inputs.at(1).shape, k] }];
  },
};
