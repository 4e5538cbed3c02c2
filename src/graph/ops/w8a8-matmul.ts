import { count, type OpDefinition, unless } from './definition.js';
import { dtypeProblems, UNROUNDED_KEY, type UnroundedKey } from './integer-matmul.js';
import { matmulShapes } from './matmul.js';

/** x int8[tokens, k], weight int8, scale[n], (perTokenScale[tokens]), (bias[n]) -> [tokens, n] in bf16 or f16. */
export interface W8A8MatMulParam extends UnroundedKey {
  readonly transposeB?: boolean;
  readonly hasBias?: boolean;
  readonly isBF16?: boolean;
  readonly hasPerTokenScale?: boolean;
}

export const w8a8MatMul: OpDefinition<'W8A8MatMul', W8A8MatMulParam> = {
  type: 'W8A8MatMul',
  keys: UNROUNDED_KEY,
  arity: ({ hasPerTokenScale, hasBias }) => ({ inputs: 3 + count(hasPerTokenScale, hasBias), outputs: 1 }),
  shapes(inputs, { transposeB = false, isBF16 = true, outDataType }) {
    const given = isBF16 ? 'bf16' : 'f16';
    return matmulShapes(inputs, transposeB, outDataType === 'ACL_FLOAT' ? 'f32' : given);
  },
  matrix: () => ({ input: 1, layout: 'linear' }),
  atb: {
    // aclnnQuantMatmulV4: one scale of each output, [n]; MindIE flattens what its files have.
    problems: ({ hasPerTokenScale = false, transposeB = false }, inputs) => [
      ...unless(
        inputs[2]?.shape.join() === `${inputs[1]?.shape[transposeB ? 0 : 1]}`,
        `the scale must be [${inputs[1]?.shape[transposeB ? 0 : 1]}], found [${inputs[2]?.shape}]`,
      ),
      ...dtypeProblems(inputs, 'i8', 'i8', 'f32', ...(hasPerTokenScale ? (['f32'] as const) : [])),
      ...unless(
        !hasPerTokenScale || inputs[3]?.shape.join() === inputs[0]?.shape.slice(0, -1).join(),
        'there must be one scale per token',
      ),
    ],
  },
};
