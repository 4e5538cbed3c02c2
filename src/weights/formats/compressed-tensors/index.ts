import type { StaticInput } from '../../quantization.js';
import { channelOrder } from '../channel-groups.js';
import { ConfigFields } from '../config-fields.js';
import {
  FLOAT_ACTIVATIONS,
  FLOAT_CACHE,
  type FormatSource,
  type OpenFormat,
  type QuantFormat,
  type StoredLinear,
  textLinear,
} from '../format.js';
import type { Nvfp4Weight } from '../nvfp4.js';
import { linearsWith, zeroBiases } from '../small-tensors.js';
import { readStaticInput } from '../static-inputs.js';
import type { Compressor } from './compressor.js';
import { floatQuantized } from './float-quantized.js';
import { groupSizeOf } from './group-scales.js';
import { intQuantized } from './int-quantized.js';
import { hasStaticInputs } from './int8-inputs.js';
import { mxfp4PackQuantized } from './mxfp4-pack-quantized.js';
import { nvfp4PackQuantized } from './nvfp4-pack-quantized.js';
import { packQuantized } from './pack-quantized.js';
import { type Scheme, type SchemeOf, schemes } from './schemes.js';

/** Every compressor that is read. A new one is a file beside this one, and a line here. */
const COMPRESSORS: readonly Compressor[] = [
  packQuantized,
  intQuantized,
  floatQuantized,
  mxfp4PackQuantized,
  nvfp4PackQuantized,
];

/** Checkpoints that llm-compressor and others write with compressed-tensors; read as version 0.20 defines them. */
export const compressedTensors: QuantFormat = { methods: ['compressed-tensors'], open };

async function open(source: FormatSource): Promise<OpenFormat | undefined> {
  const { config, tensors } = source;
  if (config === undefined || config.quant_method !== 'compressed-tensors') return undefined;
  const fields = new ConfigFields(source, config);
  refuseTransforms(fields, config);
  const said = schemes(source, config);
  const ofText: SchemeOf = (name) => {
    const within = textLinear(name);
    return within === undefined ? undefined : said(within);
  };
  const schemeOf = source.ofText ? ofText : said;
  const channels = await readOrders(source, fields, schemeOf);
  const inputs = await staticInputs(source, fields, schemeOf);
  const coded = await codedWeights(source, fields, schemeOf);
  const names = linearsWith(source, 'weight_scale');
  const spare = await zeroBiases(source, names);
  const used = new Set(names.flatMap((name) => schemeOf(name) ?? []));
  return {
    method: `compressed-tensors (${typeof config.format === 'string' ? config.format : 'mixed'})`,
    file: fields.file,
    stamps: [],
    notes: notesOf(used, config),
    quantOf(linear) {
      const scheme = schemeOf(linear.name);
      if (tensors) requireAsSaid(fields, linear, scheme);
      const stored = tensors && linear;
      return (
        scheme &&
        compressorOf(fields, scheme).quantOf({
          scheme,
          stored,
          channels: channels.get(linear.name),
          input: inputs.get(linear.name),
          coded: coded.get(`${linear.name}.weight_packed`)?.quant,
        })
      );
    },
    // A linear's weight, where it may be read as floats.
    otherNames: new Map([...coded.keys()].map((name) => [name.replace(/_packed$/, ''), name])),
    coded: (tensor) => coded.get(tensor)?.floats,
    isSpare: (tensor) =>
      spare.has(tensor) || SPARE.test(tensor) || coded.has(tensor.replace(/_scale$/, '_packed')),
  };
}

/** Shapes and orders of channels, which are read here, and scales of caches and activations, which stay floats. */
const SPARE =
  /\.(weight_shape|weight_g_idx|[kv]_scale|[kv]_zero_point|input_scale|input_zero_point|(input|weight)_global_scale)$/;

function refuseTransforms(fields: ConfigFields, config: Readonly<Record<string, unknown>>): void {
  const isEmpty = (value: unknown): boolean =>
    value == null || (typeof value === 'object' && Object.values(value).every((each) => isEmpty(each)));
  if (!isEmpty(config.transform_config))
    fields.refuse(
      'transform_config',
      'absent: rotations while the model runs are not read',
      config.transform_config,
    );
  const sparsity = config.sparsity_config as { readonly format?: unknown } | null | undefined;
  if (sparsity != null && !isEmpty(sparsity) && sparsity.format !== 'dense')
    fields.refuse('sparsity_config', 'absent or dense: sparse weights (2:4) are not read', sparsity.format);
}

function compressorOf(fields: ConfigFields, { name, format }: Scheme): Compressor {
  const found = COMPRESSORS.find((each) => each.format === format);
  const known = COMPRESSORS.map((each) => each.format).join(', ');
  return found ?? fields.refuse(`config_groups.${name}.format`, `one of ${known}`, format);
}

/** The configuration and the files must agree on which linears are quantised. */
function requireAsSaid(
  fields: ConfigFields,
  { name, tensor }: StoredLinear,
  scheme: Scheme | undefined,
): void {
  if (scheme === undefined) {
    if (tensor('weight_packed')) fields.contradict('that it is not quantised', name, 'has weight_packed');
    return;
  }
  const { weight } = compressorOf(fields, scheme);
  const says = `that it is quantised by ${scheme.format}`;
  if (tensor(weight) === undefined) fields.contradict(says, name, `has no ${weight}`);
  if (tensor('weight_scale') === undefined) fields.contradict(says, name, 'has no weight_scale');
}

/** The orders of channels whose groups do not follow each other: older versions write `weight_g_idx` with "actorder" group. */
async function readOrders(
  source: FormatSource,
  fields: ConfigFields,
  schemeOf: SchemeOf,
): Promise<ReadonlyMap<string, Int32Array>> {
  const orders = new Map<string, Int32Array>();
  for (const linear of linearsWith(source, 'weight_g_idx')) {
    const scheme = schemeOf(linear);
    const groupSize = scheme && groupSizeOf(scheme.weights);
    if (!groupSize) continue;
    const name = `${linear}.weight_g_idx`;
    const { data } = await source.read(name);
    const groupOf = Int32Array.from(data as ArrayLike<number>, Number);
    const order = channelOrder(groupOf, groupSize, (found) =>
      fields.contradict(`"group_size" ${groupSize}`, name, found),
    );
    if (order) orders.set(linear, order);
  }
  return orders;
}

/** What `weight_packed` holds that others may read as floats, by its name. */
async function codedWeights(
  source: FormatSource,
  fields: ConfigFields,
  schemeOf: SchemeOf,
): Promise<ReadonlyMap<string, Nvfp4Weight>> {
  const coded = new Map<string, Nvfp4Weight>();
  for (const linear of linearsWith(source, 'weight_packed')) {
    const scheme = schemeOf(linear);
    const compressor = scheme && compressorOf(fields, scheme);
    const weight = await compressor?.coded?.(source, fields, linear);
    if (weight) coded.set(`${linear}.weight_packed`, weight);
  }
  return coded;
}

/** How inputs become int8 that have one scale. */
async function staticInputs(
  source: FormatSource,
  fields: ConfigFields,
  schemeOf: SchemeOf,
): Promise<ReadonlyMap<string, StaticInput>> {
  const inputs = new Map<string, StaticInput>();
  for (const linear of linearsWith(source, 'weight_scale')) {
    const scheme = schemeOf(linear);
    if (!scheme || !hasStaticInputs(scheme) || !compressorOf(fields, scheme).quantisesInputs) continue;
    const says = 'that inputs have one scale';
    inputs.set(
      linear,
      await readStaticInput(source, linear, { file: fields.file, says }, 'input_zero_point'),
    );
  }
  return inputs;
}

function notesOf(used: ReadonlySet<Scheme>, config: Readonly<Record<string, unknown>>): string[] {
  const notes = new Set<string>();
  for (const scheme of used) {
    const compressor = COMPRESSORS.find(({ format }) => format === scheme.format);
    if (compressor && scheme.inputs && !compressor.quantisesInputs?.(scheme)) notes.add(FLOAT_ACTIVATIONS);
  }
  if (config.kv_cache_scheme != null) notes.add(FLOAT_CACHE);
  return [...notes];
}
