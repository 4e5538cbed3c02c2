import { groupsOf } from '../integer-rows.js';
import type { LinearQuant, RowReader } from '../quantization.js';
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

async function open(source: FormatSource): Promise<OpenFormat | undefined> {
  const { config, tensors } = source;
  if (config?.quant_method !== 'gptq') return undefined;
  const fields = new ConfigFields(source, config);
  if (config.dynamic != null && Object.keys(config.dynamic).length > 0)
    fields.refuse('dynamic', 'absent: layers that differ are not read', config.dynamic);
  const gptqConfig = parse(fields);
  const names = linearsWith(source, 'qweight');
  const linears = new Map<string, LinearQuant>();
  for (const name of names) {
    requireGroups(source, fields, gptqConfig, name);
    await requireZeros(source, fields, gptqConfig, name);
    linears.set(name, quant(gptqConfig, await readOrder(source, fields, gptqConfig, name)));
  }
  const spare = await zeroBiases(source, names);
  return {
    method: `gptq (${gptqConfig.bits} bits)`,
    file: fields.file,
    stamps: [],
    quantOf({ name }, role) {
      if (tensors) return linears.get(name);
      return role === 'projection' || gptqConfig.hasHead ? quant(gptqConfig, undefined) : undefined;
    },
    isSpare: (tensor) =>
      spare.has(tensor) || /\.g_idx$/.test(tensor) || (gptqConfig.isSymmetric && /\.qzeros$/.test(tensor)),
  };
}

function quant(config: GptqConfig, channels: Int32Array | undefined): LinearQuant {
  const desc = config.bits === 4 ? 'W4A16' : 'W8A16';
  return { desc, groupSize: config.groupSize, channels, rows: rows(config, channels) };
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

const shapeOf = ({ tensors }: FormatSource, name: string): readonly number[] | undefined =>
  tensors?.get(name)?.shape;

/** The channels that a linear has in the files. */
const channelsOf = (source: FormatSource, linear: string, bits: number): number =>
  ((shapeOf(source, `${linear}.qweight`)?.[0] ?? 0) * 32) / bits;

/** @throws WEIGHT_QUANT_CONTRADICTION */
function requireGroups(
  source: FormatSource,
  fields: ConfigFields,
  { bits, groupSize }: GptqConfig,
  linear: string,
): void {
  const channels = channelsOf(source, linear, bits);
  const [groups = 0] = shapeOf(source, `${linear}.scales`) ?? [];
  if (groups === groupsOf(channels, groupSize)) return;
  const says = `"bits" ${bits} and "group_size" ${groupSize || -1}`;
  fields.contradict(says, `${linear}.scales`, `has ${groups} groups for ${channels} channels`);
}

/** Zero points must be as many as outputs, and symmetric where they are not read. Throws WEIGHT_QUANT_CONTRADICTION. */
async function requireZeros(
  source: FormatSource,
  fields: ConfigFields,
  { bits, isSymmetric, zeroShift }: GptqConfig,
  linear: string,
): Promise<void> {
  const name = `${linear}.qzeros`;
  const [, words] = shapeOf(source, name) ?? [];
  if (words === undefined) return;
  const [, outputs = 0] = shapeOf(source, `${linear}.qweight`) ?? [];
  if (words !== wordsOf(outputs, bits))
    fields.contradict(`"bits" ${bits}`, name, `has ${words} words for ${outputs} outputs`);
  // The last word of a row may hold fewer than the others.
  if (!isSymmetric || outputs % (32 / bits) !== 0) return;
  let symmetric = 0;
  for (let bit = 0; bit < 32; bit += bits) symmetric |= (2 ** (bits - 1) - zeroShift) << bit;
  const { data } = await source.read(name);
  if ((data as Int32Array).some((found) => found !== symmetric))
    fields.contradict('"sym" true', name, 'has other zero points');
}

/** The order of a linear's channels, where it is not their own. Throws WEIGHT_QUANT_CONTRADICTION. */
async function readOrder(
  source: FormatSource,
  fields: ConfigFields,
  { bits, groupSize }: GptqConfig,
  linear: string,
): Promise<Int32Array | undefined> {
  const name = `${linear}.g_idx`;
  if (!source.tensors?.has(name) || groupSize === 0) return undefined;
  const { data } = await source.read(name);
  const channels = channelsOf(source, linear, bits);
  if (!(data instanceof Int32Array) || data.length !== channels)
    return fields.contradict(`"bits" ${bits}`, name, `has ${data.length} channels, qweight ${channels}`);
  return channelOrder(data, groupSize, (found) =>
    fields.contradict(`"group_size" ${groupSize}`, name, found),
  );
}
