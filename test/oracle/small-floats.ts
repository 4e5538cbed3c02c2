import type { WriterTensor } from '../weights/safetensors-writer.js';

/** A linear as a checkpoint stores it, and the floats that this stands for. */
export interface StoredLinear {
  readonly tensors: Record<string, Omit<WriterTensor, 'name'>>;
  readonly values: Float32Array;
}

type Store = (
  data: Float32Array,
  shape: readonly [n: number, k: number],
  bias?: Float32Array,
) => StoredLinear;

/** Every number of e4m3 that is not negative, by its code. */
export const E4M3 = Array.from({ length: 127 }, (_, code) =>
  code < 8 ? code * 2 ** -9 : (8 + (code & 7)) * 2 ** ((code >> 3) - 10),
);
/** Likewise of e2m1. */
export const E2M1 = [0, 0.5, 1, 1.5, 2, 3, 4, 6];

/** The code of the nearest number, with its sign in the bit after those of the numbers. */
function encode(value: number, numbers: readonly number[], sign: number): number {
  const size = Math.abs(value);
  let code = 0;
  for (const [i, number] of numbers.entries())
    if (Math.abs(number - size) < Math.abs((numbers[code] as number) - size)) code = i;
  return value < 0 ? code + sign : code;
}

const decode = (code: number, numbers: readonly number[], sign: number): number =>
  code >= sign ? -(numbers[code - sign] as number) : (numbers[code] as number);

/** Rounds a weight block by block; `scaleOf` gives the scale of a block by its largest number. */
export function roundBlocks(
  data: Float32Array,
  [n, k]: readonly [number, number],
  [rows, channels]: readonly [number, number],
  numbers: readonly number[],
  sign: number,
  scaleOf: (largest: number) => number,
) {
  const [down, across] = [Math.ceil(n / rows), Math.ceil(k / channels)];
  const largest = new Float32Array(down * across);
  const blockOf = (i: number) => Math.floor(i / k / rows) * across + Math.floor((i % k) / channels);
  for (const [i, value] of data.entries())
    largest[blockOf(i)] = Math.max(largest[blockOf(i)] as number, Math.abs(value));
  const scales = largest.map((most) => scaleOf(most));
  const scaleAt = (i: number) => scales[blockOf(i)] as number;
  const codes = Uint8Array.from(data, (value, i) => encode(value / scaleAt(i), numbers, sign));
  const values = Float32Array.from(codes, (code, i) => decode(code, numbers, sign) * scaleAt(i));
  return { codes, scales, values, shape: [down, across] };
}

const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array =>
  new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength);

/** Blocks as fp8 has them; the fixtures' sizes are no multiples of theirs. */
const fp8Blocks: Store = (data, [n, k]) => {
  const { codes, scales, values, shape } = roundBlocks(data, [n, k], [24, 32], E4M3, 128, (most) =>
    Math.fround(most / 448),
  );
  return {
    values,
    tensors: {
      weight: { dtype: 'F8_E4M3', shape: [n, k], data: codes },
      weight_scale_inv: { dtype: 'F32', shape, data: bytesOf(scales) },
    },
  };
};

const fp8Channels: Store = (data, [n, k]) => {
  const { codes, scales, values } = roundBlocks(data, [n, k], [1, k], E4M3, 128, (most) =>
    Math.fround(most / 448),
  );
  return {
    values,
    tensors: {
      weight: { dtype: 'F8_E4M3', shape: [n, k], data: codes },
      weight_scale: { dtype: 'F32', shape: [n, 1], data: bytesOf(scales) },
    },
  };
};

/** Groups of 32 with a power of two for each, as mxfp4 has them; two numbers to a byte. */
export function mxfp4Of(data: Float32Array, [n, k]: readonly [n: number, k: number]) {
  const { codes, scales, values, shape } = roundBlocks(
    data,
    [n, k],
    [1, 32],
    E2M1,
    8,
    (most) => 2 ** (Math.floor(Math.log2(most)) - 2),
  );
  const pairs = Uint8Array.from(
    { length: codes.length / 2 },
    (_, i) => (codes[2 * i] as number) | ((codes[2 * i + 1] as number) << 4),
  );
  return { pairs, exponents: Uint8Array.from(scales, (scale) => Math.log2(scale) + 127), values, shape };
}

const mxfp4Groups: Store = (data, [n, k]) => {
  const { pairs, exponents, values, shape } = mxfp4Of(data, [n, k]);
  return {
    values,
    tensors: {
      weight_packed: { dtype: 'U8', shape: [n, k / 2], data: pairs },
      weight_scale: { dtype: 'U8', shape, data: exponents },
    },
  };
};

const compressed = (format: string, bits: 8 | 4, strategy: object) => ({
  quant_method: 'compressed-tensors',
  format,
  ignore: ['lm_head'],
  config_groups: {
    group_0: {
      targets: ['Linear'],
      weights: { num_bits: bits, type: 'float', symmetric: true, ...strategy },
    },
  },
});

/** Checkpoints of floats of 8 and 4 bits. */
export const SMALL_FLOATS: Readonly<
  Record<string, { readonly config: Readonly<Record<string, unknown>>; readonly store: Store }>
> = {
  'fp8-blocks': { config: { quant_method: 'fp8', weight_block_size: [24, 32] }, store: fp8Blocks },
  'fp8-channels': { config: { quant_method: 'fp8' }, store: fp8Channels },
  'ct-float-quantized': {
    config: compressed('float-quantized', 8, { strategy: 'channel' }),
    store: fp8Channels,
  },
  'ct-mxfp4': {
    config: compressed('mxfp4-pack-quantized', 4, { strategy: 'group', group_size: 32 }),
    store: mxfp4Groups,
  },
};

/** Blocks whose scales are powers of two, e8m0, or those as f32, under DeepSeek-V4's name. */
const v4Blocks =
  (dtype: 'F8_E8M0' | 'F32'): Store =>
  (data, [n, k]) => {
    const { codes, scales, values, shape } = roundBlocks(
      data,
      [n, k],
      [24, 32],
      E4M3,
      128,
      (most) => 2 ** Math.ceil(Math.log2(most / 448)),
    );
    const exponents = Uint8Array.from(scales, (scale) => Math.log2(scale) + 127);
    return {
      values,
      tensors: {
        weight: { dtype: 'F8_E4M3', shape: [n, k], data: codes },
        scale: { dtype, shape, data: dtype === 'F32' ? bytesOf(scales) : exponents },
      },
    };
  };

const v4Groups: Store = (data, [n, k]) => {
  const { pairs, exponents, values, shape } = mxfp4Of(data, [n, k]);
  return {
    values,
    tensors: {
      weight: { dtype: 'I8', shape: [n, k / 2], data: pairs },
      scale: { dtype: 'F8_E8M0', shape, data: exponents },
    },
  };
};

/** What is quantised in DeepSeek-V4's files: not head, routers, compressors and what the indexer's heads count by. */
const V4_LINEAR = /\.(wq_a|wq_b|wkv|wo_a|wo_b|w[123])$/;

/** DeepSeek-V4's files, whose experts are fp4 (V4-Flash), or fp8 as all else (V4-Flash-Base, whose scales are f32). */
export const v4Files = (experts: 'fp4' | 'fp8') => {
  const blocks = v4Blocks(experts === 'fp4' ? 'F8_E8M0' : 'F32');
  const config = { activation_scheme: 'dynamic', fmt: 'e4m3', quant_method: 'fp8', scale_fmt: 'ue8m0' };
  return {
    config: { ...config, weight_block_size: [24, 32] },
    beside: { expert_dtype: experts },
    store: blocks,
    of(linear: string) {
      if (!V4_LINEAR.test(linear) || linear.includes('.compressor.')) return undefined;
      return { store: experts === 'fp4' && /\.experts\.\d+\./.test(linear) ? v4Groups : blocks };
    },
  };
};
