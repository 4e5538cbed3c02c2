import type { DType } from '../../dtype.js';
import { unless } from './definition.js';
import type { TensorDesc } from './inputs.js';

/** Extension key of products of integers: sums that are not rounded, for models in f32 and for logits. */
export interface UnroundedKey {
  readonly outDataType?: 'ACL_DT_UNDEFINED' | 'ACL_FLOAT';
}

export const UNROUNDED_KEY = { outDataType: ['ACL_DT_UNDEFINED', 'ACL_FLOAT'] } as const;

/** Extension key of products of weights with scales: their bytes hold floats, e4m3 or two e2m1, in place of integers. */
export interface NumbersKey {
  readonly weightNumbers?: 'integers' | 'floats';
}

export const NUMBERS_KEY = { weightNumbers: ['integers', 'floats'] } as const;

/** Extension key of products of integers with floats: each row of these becomes int8 first, as DynamicQuant makes it. */
export interface Int8RowsKey {
  readonly int8Activations?: boolean;
}

export const INT8_ROWS_KEY = { int8Activations: 'bool' } as const;

/** What aclnn's products of integers ask of activations in 16 bits. */
export function halfInputProblems([x]: readonly TensorDesc[]): string[] {
  const isHalf = x?.dtype === 'f16' || x?.dtype === 'bf16';
  return unless(isHalf, `the input must be f16 or bf16, found ${x?.dtype}`);
}

export function dtypeProblems(
  inputs: readonly TensorDesc[],
  ...expected: readonly (DType | undefined)[]
): string[] {
  return expected.flatMap((dtype, index) =>
    unless(inputs[index]?.dtype === dtype, `input ${index} must be ${dtype}, found ${inputs[index]?.dtype}`),
  );
}
