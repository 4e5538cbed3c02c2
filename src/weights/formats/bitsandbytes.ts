import { basename } from 'node:path';
import type { FloatDType } from '../../dtype.js';
import type { FilePart } from '../../native/binding.js';
import { requireIntegers } from '../integer-rows.js';
import type { LinearQuant, RowReader } from '../quantization.js';
import { flattened, times } from '../weight-changes.js';
import { ConfigFields } from './config-fields.js';
import { parsedObject } from './description-file.js';
import {
  type CheckpointTensor,
  type CodedTensor,
  codesBecome,
  FLOAT_ACTIVATIONS,
  type FormatSource,
  type OpenFormat,
  type QuantFormat,
} from './format.js';
import { linearsWith } from './small-tensors.js';

/**
 * bitsandbytes as version 0.50 writes it (arXiv:2305.14314, arXiv:2208.07339).
 *
 * 4 bits (nf4, fp4): `weight` holds places in a table of 16 floats, two to a byte, the first in its upper half, and
 * `weight.absmax` a scale for each `blocksize` numbers of the matrix, f32, or u8 where scales are quantised in their turn:
 * nested_quant_map[code] * nested_absmax + nested_offset. `weight.quant_state.bitsandbytes__nf4` is JSON that says so. Such
 * codes are no integers: they become floats while they are loaded.
 *
 * 8 bits (LLM.int8): `weight` i8 [n, k] and `SCB` f32 [n], the largest of each row: a weight is q * SCB / 127.
 */
export const bitsandbytes: QuantFormat = { methods: ['bitsandbytes'], open };

async function open(source: FormatSource): Promise<OpenFormat | undefined> {
  const { config, tensors } = source;
  // The oldest files do not say whose they are.
  const isNamed = config?.quant_method === 'bitsandbytes';
  if (!config || !(isNamed || (config.quant_method == null && (config.load_in_4bit || config.load_in_8bit))))
    return undefined;
  const fields = new ConfigFields(source, config);
  const isInt8 = fields.oneOf('load_in_8bit', [false, true] as const);
  const coded = new Map<string, CodedTensor>();
  for (const name of statesOf(source)) {
    const weight = name.slice(0, name.indexOf(STATE));
    if (isInt8) fields.contradict('"load_in_8bit"', name, 'tells of 4 bits');
    coded.set(weight, await readState(source, fields, weight, name));
  }
  const integers = new Set(linearsWith(source, 'SCB'));
  for (const linear of integers) {
    if (!isInt8) fields.contradict('"load_in_4bit"', `${linear}.SCB`, 'is of 8 bits');
    await requireRows(source, fields, linear);
  }
  const kept = fields.names('llm_int8_skip_modules');
  const types = [...new Set([...coded.values()].map(({ dtype }) => dtype))];
  const numbers = types.length > 0 ? types.join(' and ') : 'floats';
  return {
    method: isInt8
      ? 'bitsandbytes (LLM.int8)'
      : `bitsandbytes (${fields.oneOf('bnb_4bit_quant_type', ['fp4', 'nf4'] as const)})`,
    file: fields.file,
    stamps: [],
    notes: [isInt8 ? FLOAT_ACTIVATIONS : codesBecome(numbers)],
    quantOf({ name }, role) {
      if (tensors) return integers.has(name) ? INT8 : undefined;
      const isKept = role === 'head' || kept.some((part) => name.includes(part));
      return isInt8 && !isKept ? INT8 : undefined;
    },
    coded: (tensor) => coded.get(tensor),
    isSpare: (tensor) => SPARE.test(tensor),
  };
}

const int8Rows: RowReader = (weights, { name, outFeatures, inFeatures }) => ({
  weight: requireIntegers(weights.get(`${name}.weight`, [outFeatures, inFeatures])),
  scale: times(flattened(weights.get(`${name}.SCB`, [outFeatures])), Math.fround(1 / 127)),
});

const INT8: LinearQuant = { desc: 'W8A16', groupSize: 0, rows: int8Rows };

const STATE = '.quant_state.bitsandbytes__';
const SPARE =
  /\.(absmax|quant_map|nested_absmax|nested_quant_map|quant_state\.bitsandbytes__\w+|weight_format)$/;

const statesOf = ({ tensors }: FormatSource): string[] =>
  [...(tensors?.keys() ?? [])].filter((name) => name.includes(STATE));

const DTYPES: Readonly<Record<string, FloatDType>> = { bfloat16: 'bf16', float16: 'f16', float32: 'f32' };
const PAIRED = 16;
const BYTES = 256;

/** What a weight is, by its state. Throws WEIGHT_QUANT_DESCRIPTION, WEIGHT_QUANT_CONTRADICTION, WEIGHT_NOT_FOUND. */
async function readState(
  source: FormatSource,
  config: ConfigFields,
  weight: string,
  name: string,
): Promise<CodedTensor> {
  const state = await stateFields(source, config, name);
  state.oneOf('quant_type', ['nf4', 'fp4'] as const);
  const dtype = DTYPES[state.oneOf('dtype', ['bfloat16', 'float16', 'float32'] as const)] ?? 'f32';
  const shape = state.shape('shape');
  const block = state.count('blocksize');
  const count = shape.reduce((product, size) => product * size, 1);
  const own = (suffix: string, wanted: string, bytes: number): CheckpointTensor =>
    requireBytes(source, config, `${weight}${suffix}`, wanted, bytes);
  own('', `${count} codes`, Math.ceil(count / 2));
  const scales = Math.ceil(count / block);
  const table = await readTable(source, config, `${weight}.quant_map`, PAIRED);
  if (source.tensors?.get(`${weight}.absmax`)?.dtype !== 'U8')
    return {
      dtype,
      shape,
      codes: { table, block, scales: part(own('.absmax', `${scales} f32`, 4 * scales), scales) },
    };
  const nestedBlock = state.count('nested_blocksize');
  state.oneOf('nested_dtype', ['float32'] as const);
  const nested = Math.ceil(scales / nestedBlock);
  const codes = {
    table: await readTable(source, config, `${weight}.nested_quant_map`, BYTES),
    block: nestedBlock,
    scales: part(own('.nested_absmax', `${nested} f32`, 4 * nested), nested),
  };
  const absmax = part(own('.absmax', `${scales} codes`, scales), scales);
  return {
    dtype,
    shape,
    codes: { table, block, scales: { ...absmax, codes, plus: state.number('nested_offset') } },
  };
}

const part = ({ file, offset }: CheckpointTensor, count: number): FilePart => ({
  file,
  offset,
  dtype: 'f32',
  shape: [count],
});

/** The JSON that lies in a tensor of bytes. */
async function stateFields(source: FormatSource, config: ConfigFields, name: string): Promise<ConfigFields> {
  const { data } = await source.read(name);
  const parsed = data instanceof Uint8Array ? parsedObject(data) : undefined;
  if (parsed === undefined) return config.contradict('"load_in_4bit"', name, 'is no JSON object');
  return new ConfigFields(source, parsed, name, source.tensors?.get(name)?.file);
}

/** A tensor of so many bytes, whatever it calls its elements: codes may be stored as other types. */
function requireBytes(
  { tensors }: FormatSource,
  config: ConfigFields,
  name: string,
  wanted: string,
  bytes: number,
): CheckpointTensor {
  const found = tensors?.get(name);
  if (found?.bytes === bytes) return found;
  const has = found ? `has ${found.dtype}[${found.shape}] in ${basename(found.file)}` : 'does not exist';
  return config.contradict(`that it has ${wanted}`, name, has);
}

async function readTable(
  source: FormatSource,
  config: ConfigFields,
  name: string,
  size: number,
): Promise<Float32Array> {
  requireBytes(source, config, name, `${size} f32`, 4 * size);
  const { data } = await source.read(name);
  if (data instanceof Float32Array && data.every(Number.isFinite)) return data;
  return config.contradict('that it is a table', name, 'does not hold finite f32');
}

/** Rows may be stored in the orders of GPUs' tiles, which no tool writes any more. */
async function requireRows(source: FormatSource, fields: ConfigFields, linear: string): Promise<void> {
  const name = `${linear}.weight_format`;
  if (!source.tensors?.has(name)) return;
  const { data } = await source.read(name);
  if (Number(data[0]) !== 0) fields.contradict('LLM.int8', name, 'is another order than that of rows');
}
