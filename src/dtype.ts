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

/** The element types of weights and activations. */
export type FloatDType = 'f32' | 'f16' | 'bf16';

const word = new Float32Array(1);
const bits = new Uint32Array(word.buffer);

/** The bits of a number as bf16, rounded to nearest even. */
export function toBf16(value: number): number {
  word[0] = value;
  const x = bits[0] as number;
  if (Number.isNaN(value)) return 0x7fc0;
  return ((x + 0x7fff + ((x >>> 16) & 1)) >>> 16) & 0xffff;
}

/** The bits of a number as f16, rounded to nearest even; too large becomes infinite. */
export function toF16(value: number): number {
  word[0] = value;
  const x = bits[0] as number;
  const sign = (x >>> 16) & 0x8000;
  const magnitude = Math.abs(word[0] as number);
  if (Number.isNaN(magnitude)) return 0x7e00;
  // 65520 lies halfway between the largest f16 and what would follow it; it rounds up.
  if (magnitude >= 65520) return sign | 0x7c00;
  // Below 2^-14 the spacing is 2^-24; above, 10 bits after the leading one.
  const exponent = Math.max(Math.floor(Math.log2(magnitude || 1)), -14);
  const step = 2 ** ((magnitude === 0 ? -14 : exponent) - 10);
  const rounded = roundHalfEven(magnitude / step) * step;
  if (rounded < 2 ** -14) return sign | Math.round(rounded / 2 ** -24);
  const carried = Math.floor(Math.log2(rounded));
  return sign | ((carried + 15) << 10) | Math.round((rounded / 2 ** carried - 1) * 1024);
}

function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

/** Values rounded once to a float dtype. */
export function toDType(
  values: Float32Array,
  shape: readonly number[],
  dtype: FloatDType,
): Tensor<FloatDType> {
  if (dtype === 'f32') return { dtype, shape, data: values };
  const convert = dtype === 'bf16' ? toBf16 : toF16;
  return { dtype, shape, data: Uint16Array.from(values, convert) };
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
