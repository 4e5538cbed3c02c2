import { groupsOf } from '../integer-rows.js';
import type { LinearQuant, QuantForm, RowReader } from '../quantization.js';
import { plus, times, transposed, unpacked, withColumnOrder } from '../weight-changes.js';
import { channelOrder } from './channel-groups.js';
import { ConfigFields } from './config-fields.js';
import type { FormatSource, OpenFormat, QuantFormat } from './format.js';
import { linearsWith, wordsOf, zeroBiases } from './small-tensors.js';

/**
 * GPTQ as AutoGPTQ and gptqmodel write it (arXiv:2210.17323), 4 and 8 bits. A linear has `qweight` i32 [k * bits / 32, n],
 * words of input channels; `scales` [groups, n]; `qzeros` i32 [groups, n * bits / 32], words of outputs; and `g_idx` i32
 * [k], the group of each channel. A weight is scale * (u - z). Files of version 1 hold z - 1.
 */
export const gptq: QuantFormat = { method: 'gptq', open };

interface GptqConfig {
  readonly bits: 4 | 8;
  readonly groupSize: number;
  readonly isSymmetric: boolean;
  /** What files have subtracted from zero points. */
  readonly zeroShift: 0 | 1;
  readonly hasHead: boolean;
}

function parse(fields: ConfigFields): GptqConfig {
  const bits = fields.oneOf('bits', [4, 8] as const);
  const version = fields.oneOf('checkpoint_format', ['gptq', 'gptq_v2'] as const);
  fields.oneOf('pack_dtype', ['int32'] as const);
  // Marlin's order of words is made for one kind of GPU.
  fields.oneOf('is_marlin_format', [false] as const);
  return {
    bits,
    groupSize: fields.groupSize(),
    isSymmetric: fields.oneOf('sym', [true, false] as const),
    zeroShift: version === 'gptq' ? 1 : 0,
    hasHead: fields.oneOf('lm_head', [false, true] as const),
  };
}

/** What single tensors say of a linear. */
interface Gptq {
  readonly channels: Int32Array | undefined;
}

async function open(source: FormatSource): Promise<OpenFormat | undefined> {
  const { config, tensors } = source;
  if (config?.quant_method !== 'gptq') return undefined;
  const fields = new ConfigFields(source, config);
  if (config.dynamic != null && Object.keys(config.dynamic).length > 0)
    fields.refuse('dynamic', 'absent: layers that differ are not read', config.dynamic);
  const gptqConfig = parse(fields);
  const names = linearsWith(source, 'qweight');
  const linears = new Map<string, Gptq>();
  for (const name of names) linears.set(name, await look(source, fields, gptqConfig, name));
  const spare = await zeroBiases(source, names);
  return {
    method: `gptq (${gptqConfig.bits} bits)`,
    file: fields.file,
    stamps: [],
    quantOf({ name }, role) {
      if (tensors === undefined)
        return role === 'projection' || gptqConfig.hasHead ? quant(gptqConfig, undefined) : undefined;
      const found = linears.get(name);
      return found && quant(gptqConfig, found.channels);
    },
    isSpare: (tensor) =>
      spare.has(tensor) || /\.g_idx$/.test(tensor) || (gptqConfig.isSymmetric && /\.qzeros$/.test(tensor)),
  };
}

function quant(config: GptqConfig, channels: Int32Array | undefined): LinearQuant {
  const { bits, groupSize, isSymmetric } = config;
  const form: QuantForm = { desc: bits === 4 ? 'W4A16' : 'W8A16', groupSize };
  return { ...form, hasOffset: !isSymmetric, channels, rows: rows(config, channels) };
}

const rows =
  ({ bits, groupSize, isSymmetric, zeroShift }: GptqConfig, channels: Int32Array | undefined): RowReader =>
  (weights, { name, outFeatures, inFeatures }) => {
    const groups = groupsOf(inFeatures, groupSize);
    const middle = 2 ** (bits - 1);
    const words = weights.get(`${name}.qweight`, [wordsOf(inFeatures, bits), outFeatures]);
    const integers = unpacked(words, { bits, axis: 0, count: inFeatures, minus: middle }, 'i8');
    const scale = transposed(weights.get(`${name}.scales`, [groups, outFeatures]));
    const weight = withColumnOrder(transposed(integers), channels);
    if (isSymmetric) return { weight, scale };
    const zeros = weights.get(`${name}.qzeros`, [groups, wordsOf(outFeatures, bits)]);
    const u = unpacked(zeros, { bits, axis: 1, count: outFeatures, minus: 0 }, 'f32');
    // u - z is (u - middle) + (middle - z).
    return { weight, scale, offset: plus(times(transposed(u), -1), middle - zeroShift) };
  };

/** Reads the small tensors of a linear. Throws WEIGHT_QUANT_CONTRADICTION. */
async function look(
  source: FormatSource,
  fields: ConfigFields,
  { bits, groupSize, isSymmetric, zeroShift }: GptqConfig,
  linear: string,
): Promise<Gptq> {
  const shape = (suffix: string): readonly number[] =>
    source.tensors?.get(`${linear}.${suffix}`)?.shape ?? [];
  const [stored = 0, n = 0] = shape('qweight');
  const k = (stored * 32) / bits;
  const [groups = 0] = shape('scales');
  if (groups !== groupsOf(k, groupSize)) {
    const says = `"bits" ${bits} and "group_size" ${groupSize || -1}`;
    fields.contradict(says, `${linear}.scales`, `has ${groups} groups for ${k} channels`);
  }
  const [, zeroWords] = shape('qzeros');
  if (zeroWords !== undefined && zeroWords !== wordsOf(n, bits)) {
    const found = `has ${zeroWords} words for ${n} outputs`;
    fields.contradict(`"bits" ${bits}`, `${linear}.qzeros`, found);
  }
  if (isSymmetric && zeroWords !== undefined) {
    const { data } = await source.read(`${linear}.qzeros`);
    const word = Array.from({ length: 32 / bits }, () => 2 ** (bits - 1) - zeroShift).reduce(
      (sum, zero, i) => sum | (zero << (i * bits)),
      0,
    );
    const isWhole = n % (32 / bits) === 0;
    if (isWhole && (data as Int32Array).some((found) => found !== word))
      fields.contradict('"sym" true', `${linear}.qzeros`, 'has other zero points');
  }
  const name = `${linear}.g_idx`;
  if (!source.tensors?.has(name) || groupSize === 0) return { channels: undefined };
  const { data } = await source.read(name);
  if (!(data instanceof Int32Array) || data.length !== k)
    fields.contradict(`"bits" ${bits}`, name, `has ${data.length} channels, qweight ${k}`);
  const order = channelOrder(data as Int32Array, groupSize);
  if (order === 'asTheyLie') return { channels: undefined };
  if ('problem' in order) fields.contradict(`"group_size" ${groupSize}`, name, order.problem);
  return { channels: order as Int32Array };
}
