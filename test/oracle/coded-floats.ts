import { E2M1, E4M3, roundBlocks, type SMALL_FLOATS, type StoredLinear } from './small-floats.js';

const BLOCK = 64;
/** bitsandbytes' table of nf4: quantiles of a normal distribution. */
const NF4 = Float32Array.of(
  ...[-1, -0.6961928, -0.52507305, -0.3949175, -0.28444138, -0.18477343, -0.091050036, 0],
  ...[0.0795803, 0.1609302, 0.2461123, 0.33791524, 0.44070983, 0.562617, 0.72295684, 1],
);

function nearest(value: number): number {
  let code = 0;
  for (const [i, number] of NF4.entries())
    if (Math.abs(number - value) < Math.abs((NF4[code] as number) - value)) code = i;
  return code;
}

/** As bitsandbytes stores nf4 without nested scales: blocks are counted through the matrix. */
function nf4(data: Float32Array, shape: readonly [n: number, k: number]): StoredLinear {
  const absmax = Float32Array.from({ length: Math.ceil(data.length / BLOCK) }, (_, block) =>
    Math.max(...data.subarray(block * BLOCK, (block + 1) * BLOCK).map(Math.abs)),
  );
  const scaleAt = (i: number) => absmax[Math.floor(i / BLOCK)] as number;
  const codes = Uint8Array.from(data, (value, i) => nearest(value / scaleAt(i)));
  const pairs = Uint8Array.from(
    { length: data.length / 2 },
    (_, i) => ((codes[2 * i] as number) << 4) | (codes[2 * i + 1] as number),
  );
  const state = { quant_type: 'nf4', blocksize: BLOCK, dtype: 'float32', shape };
  const json = new TextEncoder().encode(JSON.stringify(state));
  const f32 = (values: Float32Array) =>
    ({ dtype: 'F32', shape: [values.length], data: new Uint8Array(values.buffer) }) as const;
  return {
    values: Float32Array.from(codes, (code, i) => (NF4[code] as number) * scaleAt(i)),
    tensors: {
      weight: { dtype: 'U8', shape: [pairs.length, 1], data: pairs },
      'weight.absmax': f32(absmax),
      'weight.quant_map': f32(NF4),
      'weight.quant_state.bitsandbytes__nf4': { dtype: 'U8', shape: [json.length], data: json },
    },
  };
}

/** What scales are divided by, which leaves them exact. */
const GLOBAL = 4;

/** As compressed-tensors stores nvfp4: groups of 16, whose scales are e4m3. */
function nvfp4(data: Float32Array, [n, k]: readonly [n: number, k: number]): StoredLinear {
  const codeOf = (scale: number) => E4M3.reduce((best, number, code) => (number <= scale ? code : best), 1);
  const scaleOf = (most: number) => (E4M3[codeOf((most * GLOBAL) / 6)] as number) / GLOBAL;
  const { codes, scales, values } = roundBlocks(data, [n, k], [1, 16], E2M1, 8, scaleOf);
  const pairs = Uint8Array.from(
    { length: codes.length / 2 },
    (_, i) => (codes[2 * i] as number) | ((codes[2 * i + 1] as number) << 4),
  );
  const scaleCodes = Uint8Array.from(scales, (scale) => codeOf(scale * GLOBAL));
  return {
    values,
    tensors: {
      weight_packed: { dtype: 'U8', shape: [n, k / 2], data: pairs },
      weight_scale: { dtype: 'F8_E4M3', shape: [n, k / 16], data: scaleCodes },
      weight_global_scale: {
        dtype: 'F32',
        shape: [1],
        data: new Uint8Array(Float32Array.of(GLOBAL).buffer),
      },
    },
  };
}

/** Checkpoints of floats that are places in a table. */
export const CODED_FLOATS: typeof SMALL_FLOATS = {
  'bnb-nf4': {
    config: { quant_method: 'bitsandbytes', load_in_4bit: true, bnb_4bit_quant_type: 'nf4' },
    store: nf4,
  },
  'ct-nvfp4': {
    config: {
      quant_method: 'compressed-tensors',
      format: 'nvfp4-pack-quantized',
      ignore: ['lm_head'],
      config_groups: {
        group_0: {
          targets: ['Linear'],
          weights: { num_bits: 4, type: 'float', symmetric: true, strategy: 'tensor_group', group_size: 16 },
        },
      },
    },
    store: nvfp4,
  },
};
