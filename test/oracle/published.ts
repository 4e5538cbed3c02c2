import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { toFloat32 } from '../../src/dtype.js';
import { safetensorsBytes, type WriterTensor } from '../weights/safetensors-writer.js';
import { readTensors } from './fixtures.js';
import type { SMALL_FLOATS } from './small-floats.js';

/** A linear as integers: weight [n, k] is about scale * (u - zero), one of each for a group of channels. */
interface Rounded {
  readonly n: number;
  readonly k: number;
  readonly bits: 4 | 8;
  /** [n, k], from 0 to 2^bits - 1. */
  readonly u: Uint8Array;
  /** [n, groups] */
  readonly scales: Float32Array;
  readonly zeros: Uint8Array;
  readonly groups: number;
  /** The group of each channel. */
  readonly groupOf: Int32Array;
  /** [n], which stays beside it in the files. */
  readonly bias?: Float32Array | undefined;
  /** What linears with the same inputs share, and others do not. */
  readonly seed: number;
}

/** How a test publishes a checkpoint: its quantization_config, how linears are rounded, and the tensors of one. */
export interface Publisher {
  readonly config: Readonly<Record<string, unknown>>;
  readonly bits: 4 | 8;
  /** 0: one for all channels. */
  readonly groupSize: number;
  readonly isSymmetric?: boolean;
  readonly hasActOrder?: boolean;
  /** What MindIE's description says of each linear, where there is one instead of a quantization_config. */
  readonly type?: string;
  tensors(linear: Rounded): Record<string, Omit<WriterTensor, 'name'>>;
}

const GROUP = 32;
const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array =>
  new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength);

const i32 = (shape: readonly number[], data: Int32Array): Omit<WriterTensor, 'name'> => ({
  dtype: 'I32',
  shape,
  data: bytesOf(data),
});
const f32 = (shape: readonly number[], data: Float32Array): Omit<WriterTensor, 'name'> => ({
  dtype: 'F32',
  shape,
  data: bytesOf(data),
});

/** Words [rows, columns / per] or [rows / per, columns] of numbers [rows, columns]. */
function words(
  [rows, columns]: readonly [number, number],
  bits: 4 | 8,
  axis: 0 | 1,
  at: (row: number, column: number) => number,
  places: readonly number[] = [0, 1, 2, 3, 4, 5, 6, 7],
): Omit<WriterTensor, 'name'> {
  const per = 32 / bits;
  const [r, c] = axis === 0 ? [Math.ceil(rows / per), columns] : [rows, Math.ceil(columns / per)];
  const packed = new Int32Array(r * c);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const number = axis === 0 ? row : column;
      const word = axis === 0 ? Math.floor(row / per) * c + column : row * c + Math.floor(column / per);
      packed[word] =
        (packed[word] as number) | (at(row, column) << (bits * (places[number % per] as number)));
    }
  }
  return i32([r, c], packed);
}

const transpose = (data: Float32Array, n: number, k: number): Float32Array =>
  Float32Array.from(data, (_, i) => data[(i % n) * k + Math.floor(i / n)] as number);

const gptqTensors =
  (zeroShift: 0 | 1): Publisher['tensors'] =>
  ({ n, k, bits, u, scales, zeros, groups, groupOf }) => ({
    qweight: words([k, n], bits, 0, (channel, row) => u[row * k + channel] as number),
    qzeros: words([groups, n], bits, 1, (g, row) => (zeros[row * groups + g] as number) - zeroShift),
    scales: f32([groups, n], transpose(scales, n, groups)),
    g_idx: i32([k], groupOf),
  });

const AWQ_PLACES = [0, 4, 1, 5, 2, 6, 3, 7];

const gptq = (bits: 4 | 8, rest: Partial<Publisher> = {}): Publisher => {
  const { isSymmetric = false, hasActOrder = false, groupSize = GROUP } = rest;
  return {
    config: {
      quant_method: 'gptq',
      bits,
      group_size: groupSize === 0 ? -1 : groupSize,
      sym: isSymmetric,
      desc_act: hasActOrder,
    },
    bits,
    groupSize,
    isSymmetric,
    hasActOrder,
    tensors: gptqTensors(1),
  };
};

const compressed = (
  format: string,
  bits: 4 | 8,
  isSymmetric: boolean,
  tensors: Publisher['tensors'],
  activations: object | null = null,
): Publisher => {
  const groupSize = format === 'pack-quantized' || bits === 4 ? GROUP : 0;
  const weights = {
    num_bits: bits,
    type: 'int',
    symmetric: isSymmetric,
    ...(groupSize ? { strategy: 'group', group_size: groupSize } : { strategy: 'channel' }),
  };
  return {
    config: {
      quant_method: 'compressed-tensors',
      format,
      ignore: ['lm_head'],
      config_groups: { group_0: { targets: ['Linear'], weights, input_activations: activations } },
    },
    bits,
    groupSize,
    isSymmetric,
    tensors,
  };
};

const symmetricTensors: Publisher['tensors'] = ({ n, k, bits, u, scales, groups }) => ({
  weight_packed: words([n, k], bits, 1, (row, channel) => u[row * k + channel] as number),
  weight_scale: f32([n, groups], scales),
  weight_shape: { dtype: 'I64', shape: [2], data: bytesOf(BigInt64Array.from([BigInt(n), BigInt(k)])) },
});

const packTensors: Publisher['tensors'] = (linear) => ({
  ...symmetricTensors(linear),
  weight_zero_point: words(
    [linear.n, linear.groups],
    linear.bits,
    0,
    (row, g) => linear.zeros[row * linear.groups + g] as number,
  ),
});

const intTensors: Publisher['tensors'] = ({ n, k, bits, u, scales, groups }) => ({
  weight: { dtype: 'I8', shape: [n, k], data: bytesOf(Int8Array.from(u, (each) => each - 2 ** (bits - 1))) },
  weight_scale: f32([n, groups], scales),
});

/** Few inputs of the fixtures' linears are larger than 127 times this. */
const inputScaleOf = ({ seed }: Rounded): number => Math.fround((8 + (seed % 5)) / 127);

const staticTensors: Publisher['tensors'] = (linear) => ({
  ...intTensors(linear),
  input_scale: f32([1], Float32Array.of(inputScaleOf(linear))),
});

/** As MindIE has W8A8: sums get the bias, and the offset of the inputs is taken out of them again. */
const mindieStaticTensors: Publisher['tensors'] = (linear) => {
  const { n, k, u, scales, bias = new Float32Array(n) } = linear;
  const offset = -3;
  const deqScale = scales.map((scale) => scale * inputScaleOf(linear));
  const sums = Int32Array.from({ length: n }, (_, row) =>
    u.subarray(row * k, (row + 1) * k).reduce((sum, each) => sum + each - 128, 0),
  );
  return {
    ...staticTensors(linear),
    input_offset: f32([1], Float32Array.of(offset)),
    deq_scale: f32([n], deqScale),
    quant_bias: i32(
      [n],
      sums.map((sum, row) => Math.round((bias[row] as number) / (deqScale[row] as number)) - offset * sum),
    ),
  };
};

/** As MindIE reads them: two's complement, and offsets that are taken from the integers. */
const mindieTensors: Publisher['tensors'] = ({ n, k, bits, u, scales, zeros, groups }) => {
  const middle = 2 ** (bits - 1);
  const q = Int8Array.from(u, (each) => each - middle);
  const pairs = Int8Array.from(
    { length: (n * k) / 2 },
    (_, i) => ((q[2 * i] as number) & 15) | ((q[2 * i + 1] as number) << 4),
  );
  return {
    weight: { dtype: 'I8', shape: [n, (k * bits) / 8], data: bytesOf(bits === 4 ? pairs : q) },
    weight_scale: f32([n, groups], scales),
    weight_offset: f32(
      [n, groups],
      Float32Array.from(zeros, (zero) => zero - middle),
    ),
  };
};

/** As msmodelslim has W4A8: those of two outputs in a byte, and scales that are products. */
const w4a8Tensors: Publisher['tensors'] = ({ n, k, u, scales, groups }) => {
  const first = Float32Array.from({ length: n }, (_, row) => 2 ** -(row % 3));
  const at = (row: number, i: number): number => (u[row * k + i] as number) - 8;
  const pairs = Int8Array.from({ length: (n * k) / 2 }, (_, i) => {
    const [row, channel] = [2 * Math.floor(i / k), i % k];
    return (at(row, channel) & 15) | (at(row + 1, channel) << 4);
  });
  return {
    weight: { dtype: 'I8', shape: [n / 2, k], data: bytesOf(pairs) },
    weight_scale: f32([n, 1], first),
    weight_offset: f32([n, 1], new Float32Array(n)),
    weight_scale_second: f32(
      [n, groups],
      scales.map((scale, i) => scale / (first[Math.floor(i / groups)] as number)),
    ),
    weight_offset_second: f32([n, groups], new Float32Array(n * groups)),
    scale_bias: f32([n, 1], new Float32Array(n).fill(7)),
  };
};

const STATIC = { num_bits: 8, type: 'int', symmetric: true, strategy: 'tensor', dynamic: false };
const TOKENS = { num_bits: 8, type: 'int', symmetric: true, strategy: 'token', dynamic: true };

/** Every method by name. */
export const PUBLISHERS: Readonly<Record<string, Publisher>> = {
  'gptq-4': gptq(4),
  'gptq-4-act-order': gptq(4, { hasActOrder: true }),
  'gptq-8-sym-channel': gptq(8, { isSymmetric: true, groupSize: 0 }),
  awq: {
    config: { quant_method: 'awq', bits: 4, group_size: GROUP, zero_point: true, version: 'gemm' },
    bits: 4,
    groupSize: GROUP,
    tensors: ({ n, k, u, scales, zeros, groups }) => ({
      qweight: words([k, n], 4, 1, (channel, row) => u[row * k + channel] as number, AWQ_PLACES),
      qzeros: words([groups, n], 4, 1, (g, row) => zeros[row * groups + g] as number, AWQ_PLACES),
      scales: f32([groups, n], transpose(scales, n, groups)),
    }),
  },
  'ct-pack-4': compressed('pack-quantized', 4, true, symmetricTensors),
  'ct-pack-4-dynamic': compressed('pack-quantized', 4, true, symmetricTensors, TOKENS),
  'ct-pack-4-asym-dynamic': compressed('pack-quantized', 4, false, packTensors, TOKENS),
  'ct-pack-8-asym': compressed('pack-quantized', 8, false, packTensors),
  'ct-int-4-dynamic': compressed('int-quantized', 4, true, intTensors, TOKENS),
  'ct-int-8': compressed('int-quantized', 8, true, intTensors),
  'ct-int-8-dynamic': compressed('int-quantized', 8, true, intTensors, TOKENS),
  'ct-int-8-static': compressed('int-quantized', 8, true, staticTensors, STATIC),
  'msmodelslim-8-static': {
    config: {},
    type: 'W8A8',
    bits: 8,
    groupSize: 0,
    isSymmetric: true,
    tensors: mindieStaticTensors,
  },
  'msmodelslim-4': { config: {}, type: 'W4A16', bits: 4, groupSize: GROUP, tensors: mindieTensors },
  'msmodelslim-w4a8-dynamic': {
    config: {},
    type: 'W4A8_DYNAMIC',
    bits: 4,
    groupSize: GROUP,
    isSymmetric: true,
    tensors: w4a8Tensors,
  },
  'msmodelslim-8': { config: {}, type: 'W8A16', bits: 8, groupSize: 0, tensors: mindieTensors },
};

/** Rounds a weight as simply as can be: only that the integers are used fully matters. */
function round(
  data: Float32Array,
  [n, k]: readonly [number, number],
  publisher: Publisher,
  seed: number,
): Rounded {
  const { bits, groupSize, isSymmetric = false, hasActOrder = false } = publisher;
  const size = groupSize === 0 ? k : groupSize;
  const groups = Math.ceil(k / size);
  // Any permutation will do: 29 shares no factor with the fixtures' sizes.
  const groupOf = Int32Array.from({ length: k }, (_, i) =>
    Math.floor((hasActOrder ? (i * 29 + seed) % k : i) / size),
  );
  const most = 2 ** bits - 1;
  const scales = new Float32Array(n * groups);
  const zeros = new Uint8Array(n * groups);
  const u = new Uint8Array(n * k);
  for (let row = 0; row < n; row++) {
    const own = data.subarray(row * k, (row + 1) * k);
    for (let g = 0; g < groups; g++) {
      const of = own.filter((_, i) => groupOf[i] === g);
      const [low, high] = [Math.min(0, ...of), Math.max(0, ...of)];
      const largest = Math.max(-low, high);
      const scale = Math.fround(isSymmetric ? largest / (2 ** (bits - 1) - 1) : (high - low) / most) || 1;
      scales[row * groups + g] = scale;
      // GPTQ's first version cannot say 0.
      zeros[row * groups + g] = isSymmetric ? 2 ** (bits - 1) : Math.max(1, Math.round(-low / scale));
    }
    for (const [i, value] of own.entries()) {
      const at = row * groups + (groupOf[i] as number);
      const integer = Math.round(value / (scales[at] as number)) + (zeros[at] as number);
      u[row * k + i] = Math.min(most, Math.max(0, integer));
    }
  }
  return { n, k, bits, u, scales, zeros, groups, groupOf, seed };
}

/** The floats that a rounded weight stands for. */
const restore = ({ k, u, scales, zeros, groups, groupOf }: Rounded): Float32Array =>
  Float32Array.from(u, (integer, i) => {
    const at = Math.floor(i / k) * groups + (groupOf[i % k] as number);
    return (scales[at] as number) * (integer - (zeros[at] as number));
  });

/** How a test stores a linear. */
type Store = Pick<(typeof SMALL_FLOATS)[string], 'config'> & {
  store(
    ...linear: [...Parameters<(typeof SMALL_FLOATS)[string]['store']>, seed: number]
  ): ReturnType<(typeof SMALL_FLOATS)[string]['store']>;
} & Partial<Pick<Publisher, 'type' | 'groupSize'>> & {
    /** How a linear is stored, by its name; undefined for floats. Absent: those that end in `_proj` are. */
    readonly of?: (linear: string) => Pick<Store, 'store'> | undefined;
    /** What config.json says beside the quantization_config. */
    readonly beside?: Readonly<Record<string, unknown>>;
  };

/** A publisher of integers, as what it stores. */
export const storeOf = (publisher: Publisher): Store => ({
  config: publisher.config,
  ...(publisher.type !== undefined && { type: publisher.type, groupSize: publisher.groupSize }),
  store(data, shape, bias, seed) {
    const rounded = round(data, shape, publisher, seed);
    return { tensors: publisher.tensors({ ...rounded, bias }), values: restore(rounded) };
  },
});

/** A number of what a linear is a part of, such as an expert. */
const seedOf = (linear: string): number =>
  [...linear.replace(/[^.]*$/, '')].reduce((sum, letter) => sum + letter.charCodeAt(0), 0);

/** Writes a float checkpoint as a method publishes it, and the float checkpoint that this stands for. */
export async function publish(
  source: string,
  publisher: Store,
  output: { readonly published: string; readonly dequantized: string },
): Promise<void> {
  const [published, floats]: [WriterTensor[], WriterTensor[]] = [[], []];
  const stored = await readTensors(join(source, 'model.safetensors'));
  for (const [name, tensor] of stored) {
    const [n = 0, k = 0] = tensor.shape;
    if (tensor.dtype === 'i64') {
      const table = { name, dtype: 'I64', shape: tensor.shape, data: bytesOf(tensor.data) };
      floats.push(table);
      published.push(table);
      continue;
    }
    const data = toFloat32(tensor);
    const linear = /^(.*)\.weight$/.exec(name)?.[1] ?? '';
    const bias = stored.get(`${linear}.bias`);
    const all = publisher.of ?? ((each: string) => (/_proj$/.test(each) ? publisher : undefined));
    const found = all(linear)?.store(data, [n, k], bias && toFloat32(bias), seedOf(linear));
    const values = f32(tensor.shape, found ? found.values : data);
    floats.push({ name, ...values });
    if (!found) published.push({ name, ...values });
    else
      for (const [suffix, each] of Object.entries(found.tensors))
        published.push({ name: `${linear}.${suffix}`, ...each });
  }
  const config = JSON.parse(readFileSync(join(source, 'config.json'), 'utf8'));
  for (const [folder, tensors, quantization] of [
    [
      output.published,
      published,
      publisher.type ? {} : { ...publisher.beside, quantization_config: publisher.config },
    ],
    [output.dequantized, floats, {}],
  ] as const) {
    mkdirSync(folder);
    cpSync(source, folder, { recursive: true, filter: (path) => !/safetensors|config\.json$/.test(path) });
    writeFileSync(join(folder, 'config.json'), JSON.stringify({ ...config, ...quantization }));
    writeFileSync(join(folder, 'model.safetensors'), safetensorsBytes(tensors));
  }
  if (publisher.type === undefined) return;
  const types = published.map(({ name }) => [name, /_proj\.weight$/.test(name) ? publisher.type : 'FLOAT']);
  const description = {
    model_quant_type: publisher.type,
    group_size: publisher.groupSize,
    ...Object.fromEntries(types),
  };
  writeFileSync(join(output.published, 'quant_model_description.json'), JSON.stringify(description));
}
