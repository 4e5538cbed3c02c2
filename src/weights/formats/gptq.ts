import { groupsOf } from '../integer-rows.js';
import type { LinearQuant, RowReader } from '../quantization.js';
import { plus, times, transposed, unpacked, withColumnOrder } from '../weight-changes.js';
import { channelOrder } from './channel-groups.js';
import { ConfigFields } from './config-fields.js';
import type { FormatSource, OpenFormat, QuantFormat } from './format.js';
import { dynamicOverrides, type ModuleOverrides, packedLinears } from './module-overrides.js';
import { wordsOf, zeroBiases } from './small-tensors.js';

/**
 * GPTQ as AutoGPTQ and gptqmodel write it (arXiv:2210.17323), 4 and 8 bits. A linear has `qweight` i32 [k * bits / 32, n],
 * words of input channels; `scales` [groups, n]; `qzeros` i32 [groups, n * bits / 32], words of outputs; and `g_idx` i32
 * [k], the group of each channel. A weight is scale * (u - z). Files of version 1 hold z - 1.
 */
export const gptq: QuantFormat = { methods: ['gptq'], open };

async function open(source: FormatSource): Promise<OpenFormat | undefined> {
  const { config } = source;
  if (config?.quant_method !== 'gptq') return undefined;
  const fields = new ConfigFields(source, config);
  const version = config.checkpoint_format == null ? 'format' : 'checkpoint_format';
  const zeroShift = fields.oneOf(version, ['gptq', 'gptq_v2'] as const) === 'gptq' ? 1 : 0;
  // Marlin's order of words is made for one kind of GPU.
  fields.oneOf('is_marlin_format', [false] as const);
  return openGptq(source, fields, { tool: 'gptq', zeroShift, overrides: dynamicOverrides(source, config) });
}

/** Who wrote such files, and how. */
export interface GptqDialect {
  readonly tool: string;
  /** What files have subtracted from zero points. */
  readonly zeroShift: 0 | 1;
  readonly overrides: ModuleOverrides;
}

/** What transformers takes where nothing says (GPTQConfig). */
const USUAL_GROUP = 128;

/** How a linear is stored. */
interface GptqConfig {
  readonly fields: ConfigFields;
  readonly bits: 4 | 8;
  readonly groupSize: number;
  readonly isSymmetric: boolean;
  readonly zeroShift: 0 | 1;
}

const parse = (fields: ConfigFields, zeroShift: 0 | 1): GptqConfig => {
  fields.oneOf('pack_dtype', ['int32'] as const);
  const [bits, isSymmetric] = [
    fields.oneOf('bits', [4, 8] as const),
    fields.oneOf('sym', [true, false] as const),
  ];
  return { fields, bits, groupSize: fields.groupSize('group_size', USUAL_GROUP), isSymmetric, zeroShift };
};

/** A checkpoint of such linears. Throws WEIGHT_QUANT_DESCRIPTION, WEIGHT_QUANT_CONTRADICTION, WEIGHT_*. */
export async function openGptq(
  source: FormatSource,
  fields: ConfigFields,
  { tool, zeroShift, overrides }: GptqDialect,
): Promise<OpenFormat> {
  const common = parse(fields, zeroShift);
  const hasHead = fields.oneOf('lm_head', [false, true] as const);
  const linears = new Map<string, LinearQuant>();
  const symmetric = new Set<string>();
  for (const [name, own] of packedLinears(source, fields, overrides)) {
    const config = own === fields ? common : parse(own, zeroShift);
    requireGroups(source, config, name);
    await requireZeros(source, config, name);
    linears.set(name, quant(config, await readOrder(source, config, name)));
    if (config.isSymmetric) symmetric.add(`${name}.qzeros`);
  }
  const spare = await zeroBiases(source, [...linears.keys()]);
  return {
    method: `${tool} (${common.bits} bits)`,
    file: fields.file,
    stamps: [],
    quantOf({ name }, role) {
      if (source.tensors) return linears.get(name);
      const own = overrides(name);
      if (own) return own.fields && quant(parse(own.fields, zeroShift), undefined);
      return role !== 'head' || hasHead ? quant(common, undefined) : undefined;
    },
    isSpare: (tensor) => spare.has(tensor) || /\.g_idx$/.test(tensor) || symmetric.has(tensor),
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
function requireGroups(source: FormatSource, { fields, bits, groupSize }: GptqConfig, linear: string): void {
  const channels = channelsOf(source, linear, bits);
  const [groups = 0] = shapeOf(source, `${linear}.scales`) ?? [];
  if (groups === groupsOf(channels, groupSize)) return;
  const says = `"bits" ${bits} and "group_size" ${groupSize || -1}`;
  fields.contradict(says, `${linear}.scales`, `has ${groups} groups for ${channels} channels`);
}

/** Zero points must be as many as outputs, and symmetric where they are not read. Throws WEIGHT_QUANT_CONTRADICTION. */
async function requireZeros(
  source: FormatSource,
  { fields, bits, isSymmetric, zeroShift }: GptqConfig,
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
  { fields, bits, groupSize }: GptqConfig,
  linear: string,
): Promise<Int32Array | undefined> {
  const name = `${linear}.g_idx`;
  if (!source.tensors?.has(name) || groupSize === 0) return undefined;
  const { data: found } = await source.read(name);
  // Some tools write them as i64.
  const data = Int32Array.from(found as ArrayLike<number>, Number);
  const channels = channelsOf(source, linear, bits);
  if (data.length !== channels)
    return fields.contradict(`"bits" ${bits}`, name, `has ${data.length} channels, qweight ${channels}`);
  return channelOrder(data, groupSize, (found) =>
    fields.contradict(`"group_size" ${groupSize}`, name, found),
  );
}
