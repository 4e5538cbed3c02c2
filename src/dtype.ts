/** Element types that tensors have here. `bf16` and `f16` travel through JavaScript as `Uint16Array`. */
export type DType = 'f32' | 'f16' | 'bf16' | 'i8' | 'u8' | 'i32' | 'i64';

/** Bytes of one element. */
export const DTYPE_BYTES: Readonly<Record<DType, number>> = {
  f32: 4,
  f16: 2,
  bf16: 2,
  i8: 1,
  u8: 1,
  i32: 4,
  i64: 8,
};

/** ATB's name of each dtype, as its operator tables spell it. */
export const ATB_DTYPE_NAME: Readonly<Record<DType, string>> = {
  f32: 'float',
  f16: 'float16',
  bf16: 'bf16',
  i8: 'int8',
  u8: 'uint8',
  i32: 'int32',
  i64: 'int64',
};

/** The typed array that holds each dtype. */
export interface DTypeArray {
  f32: Float32Array;
  f16: Uint16Array;
  bf16: Uint16Array;
  i8: Int8Array;
  u8: Uint8Array;
  i32: Int32Array;
  i64: BigInt64Array;
}

/** Dense row-major values with their element type and shape. */
export interface Tensor<D extends DType = DType> {
  readonly dtype: D;
  readonly shape: readonly number[];
  readonly data: DTypeArray[D];
}

/** Number of elements of a shape; 1 for a scalar. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}
