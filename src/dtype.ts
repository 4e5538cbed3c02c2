import { type ArgumentKind, requireArgument, wholes } from './require-argument.js';

/**
 * Element types that tensors have here. `bf16` and `f16` travel through JavaScript as `Uint16Array`. `e4m3` (floats of 8
 * bits) and `e8m0` (powers of two) are in files only: loading makes other floats of them, or packs them.
 */
export type DType = 'f32' | 'f16' | 'bf16' | 'i8' | 'u8' | 'i32' | 'i64' | 'e4m3' | 'e8m0';

/** Bytes of one element. */
export const DTYPE_BYTES: Readonly<Record<DType, number>> = {
  f32: 4,
  f16: 2,
  bf16: 2,
  i8: 1,
  u8: 1,
  i32: 4,
  i64: 8,
  e4m3: 1,
  e8m0: 1,
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
  e4m3: 'float8_e4m3fn',
  e8m0: 'float8_e8m0',
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
  e4m3: Uint8Array;
  e8m0: Uint8Array;
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

/** The element types of weights and activations. */
export type FloatDType = 'f32' | 'f16' | 'bf16';

export const isFloat = (dtype: DType): dtype is FloatDType =>
  dtype === 'f32' || dtype === 'f16' || dtype === 'bf16';

const word = new Float32Array(1);
const bits = new Uint32Array(word.buffer);

/** The bits of a number as bf16, rounded to nearest even. */
export function toBf16(value: number): number {
  word[0] = value;
  return bf16Bits(bits[0] as number);
}

/** The bits of a number as f16, rounded to nearest even; too large becomes infinite. */
export function toF16(value: number): number {
  word[0] = value;
  return f16Bits(bits[0] as number);
}

const F32_INFINITY = 0x7f800000;

/** bf16 of the bits of an f32. */
function bf16Bits(x: number): number {
  if ((x & 0x7fffffff) > F32_INFINITY) return 0x7fc0;
  return ((x + 0x7fff + ((x >>> 16) & 1)) >>> 16) & 0xffff;
}

/** f16 of the bits of an f32. */
function f16Bits(x: number): number {
  const sign = (x >>> 16) & 0x8000;
  const magnitude = x & 0x7fffffff;
  if (magnitude > F32_INFINITY) return 0x7e00;
  // 65520 lies halfway between the largest f16 and what would follow it; it rounds up.
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  if (magnitude < 0x38800000) {
    // Below 2^-14 the spacing is 2^-24. Numbers from 0.5 to 1 have that spacing too: the sum is rounded.
    bits[0] = magnitude;
    word[0] = (word[0] as number) + 0.5;
    return sign | ((bits[0] as number) - 0x3f000000);
  }
  // 13 bits less; the exponent's offset is 15 instead of 127.
  return sign | ((magnitude + 0xfff + ((magnitude >>> 13) & 1) - (112 << 23)) >>> 13);
}

/** The number of a float dtype that is nearest to `value`. */
export function rounded(value: number, dtype: FloatDType): number {
  return toFloat32(toDType(Float32Array.of(value), [1], dtype))[0] as number;
}

const FLOATS: ArgumentKind = { expected: 'a Float32Array', holds: (value) => value instanceof Float32Array };
const FLOAT_DTYPE: ArgumentKind = {
  expected: 'one of f32, f16, bf16',
  holds: (value) => isFloat(value as DType),
};

/** Values rounded once to a float dtype. */
export function toDType(
  values: Float32Array,
  shape: readonly number[],
  dtype: FloatDType,
): Tensor<FloatDType> {
  requireArgument('toDType', 'the values', FLOATS, values);
  requireArgument('toDType', 'the shape', wholes(0), shape);
  requireArgument('toDType', 'the dtype', FLOAT_DTYPE, dtype);
  if (dtype === 'f32') return { dtype, shape, data: values };
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const data = new Uint16Array(values.length);
  // Two loops of one call each: tables of a million numbers are converted here.
  if (dtype === 'bf16') for (let i = 0; i < words.length; i++) data[i] = bf16Bits(words[i] as number);
  else for (let i = 0; i < words.length; i++) data[i] = f16Bits(words[i] as number);
  return { dtype, shape, data };
}

/** A float tensor's values; exact. Other dtypes are a TypeError. */
export function toFloat32(tensor: Tensor): Float32Array {
  const { dtype, data } = tensor;
  if (data instanceof Float32Array) return data;
  if (!(data instanceof Uint16Array)) throw new TypeError(`${dtype} is not a float dtype`);
  if (dtype === 'bf16') {
    const words = new Uint32Array(data.length);
    for (const [index, half] of data.entries()) words[index] = half << 16;
    return new Float32Array(words.buffer);
  }
  return Float32Array.from(data, fromF16);
}

function fromF16(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const [exponent, fraction] = [(half >>> 10) & 0x1f, half & 0x3ff];
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
