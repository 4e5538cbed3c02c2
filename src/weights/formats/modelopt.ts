import { isObject } from '../../is-object.js';
import type { LinearQuant } from '../quantization.js';
import type { FileStamp } from '../regular-file.js';
import { ConfigFields } from './config-fields.js';
import { parsedObject, readDescriptionFile } from './description-file.js';
import {
  FLOAT_ACTIVATIONS,
  FLOAT_CACHE,
  type FormatSource,
  isNamed,
  type OpenFormat,
  type QuantFormat,
  type StoredLinear,
} from './format.js';
import { NVFP4_FORM, type Nvfp4Weight, nvfp4Weight } from './nvfp4.js';
import { type IsMeant, patternRefusal, pythonPattern } from './python-patterns.js';
import { e4m3Linear, type ScaleBlock } from './small-floats.js';
import { linearsWith } from './small-tensors.js';

/**
 * NVIDIA's Model Optimizer, as modelopt 0.47 writes it: `quantization_config`, or hf_quant_config.json beside it, names an
 * algorithm for all linears, or one for each. Of fp8, `weight` is e4m3 [n, k], and `weight_scale` one number, one for each
 * output [n], f32 for each block of 128 x 128 [n / 128, 1, k / 128, 1], or a power of two for each 32 of a row, u8 [n, k /
 * 32]. Of nvfp4, `weight` is u8 [n, k / 2], `weight_scale` e4m3 [n, k / 16], and `weight_scale_2` the factor of all scales.
 */
export const modelopt: QuantFormat = { methods: ['modelopt', 'modelopt_fp4'], open };

const DESCRIPTION_FILE = 'hf_quant_config.json';

type Dict = Readonly<Record<string, unknown>>;
type Kind = 'fp8' | 'nvfp4';
const KINDS: Readonly<Record<string, Kind>> = {
  FP8: 'fp8',
  FP8_PER_CHANNEL_PER_TOKEN: 'fp8',
  FP8_PB_WO: 'fp8',
  MXFP8: 'fp8',
  NVFP4: 'nvfp4',
  W4A16_NVFP4: 'nvfp4',
};
const MIXED = 'MIXED_PRECISION';
const BLOCK: ScaleBlock = { rows: 128, channels: 128 };
const MX_BLOCK: ScaleBlock = { rows: 1, channels: 32 };

async function open(source: FormatSource): Promise<OpenFormat | undefined> {
  const said = await readDescription(source);
  if (said === undefined) return undefined;
  const { config, fields, stamps } = said;
  const kindOf = kinds(fields, config);
  const coded = new Map<string, Nvfp4Weight>();
  for (const linear of linearsWith(source, 'weight_scale_2')) {
    const world = { says: 'NVFP4', weight: 'weight', world: 'weight_scale_2' } as const;
    const scaleOf = (scale: number, factor: number) => scale * factor;
    coded.set(`${linear}.weight`, await nvfp4Weight(source, fields, linear, { ...world, scaleOf }));
  }
  const hasCache = config.kv_cache_quant_algo != null || config.kv_cache_scheme != null;
  return {
    method: `modelopt (${config.quant_algo})`,
    file: fields.file,
    stamps,
    notes: [FLOAT_ACTIVATIONS, ...(hasCache ? [FLOAT_CACHE] : [])],
    quantOf(linear) {
      const kind = kindOf(linear.name);
      if (source.tensors)
        return storedQuant(fields, linear, kind) ?? coded.get(`${linear.name}.weight`)?.quant;
      return kind === 'fp8' ? e4m3Linear('weight_scale', undefined, undefined) : kind && NVFP4_FORM;
    },
    coded: (tensor) => coded.get(tensor)?.floats,
    isSpare: (tensor) => SPARE.test(tensor) || coded.has(tensor.replace(/\.weight_scale(_2)?$/, '.weight')),
  };
}

const SPARE = /\.(input_scale|[kv]_proj\.[kv]_scale)$/;

interface Description {
  readonly config: Dict;
  readonly fields: ConfigFields;
  /** Of the file, where it is one of its own. */
  readonly stamps: readonly FileStamp[];
}

/** What config.json says, or the file beside it, where config.json says nothing. */
async function readDescription(source: FormatSource): Promise<Description | undefined> {
  const { config } = source;
  if (isNamed(modelopt, config)) return { config, fields: new ConfigFields(source, config), stamps: [] };
  if (config) return undefined;
  const description = await readDescriptionFile(source, DESCRIPTION_FILE);
  if (description === undefined) return undefined;
  const { file, stamp, bytes } = description;
  const own = parsedObject(bytes)?.quantization;
  if (!isObject(own))
    return new ConfigFields(source, {}, DESCRIPTION_FILE, file).refuse('quantization', 'an object', own);
  return { config: own, fields: new ConfigFields(source, own, 'quantization', file), stamps: [stamp] };
}

/** What a linear is by the configuration; undefined for floats. */
type KindOf = (linear: string) => Kind | undefined;

/** Throws WEIGHT_QUANT_DESCRIPTION for algorithms that are not read. */
function kinds(fields: ConfigFields, config: Dict): KindOf {
  const known = Object.keys(KINDS);
  const kindOf = (field: string, algorithm: unknown, more: readonly string[] = []): Kind | undefined => {
    const name = typeof algorithm === 'string' ? algorithm.toUpperCase() : '';
    if (more.includes(name)) return undefined;
    return KINDS[name] ?? fields.refuse(field, `one of ${[...known, ...more].join(', ')}`, algorithm);
  };
  const common = kindOf('quant_algo', config.quant_algo, [MIXED]);
  if (common) {
    const kept = ['exclude_modules', 'ignore'].flatMap((field) =>
      fields.names(field).map((glob) => globPattern(glob, patternRefusal(fields, field, glob))),
    );
    return (linear) => (kept.some((isKept) => isKept(linear)) ? undefined : common);
  }
  const layers = isObject(config.quantized_layers) ? config.quantized_layers : {};
  const ofLayer = new Map(
    Object.entries(layers).map(([name, layer]) => [
      name,
      kindOf(`quantized_layers.${name}.quant_algo`, isObject(layer) ? layer.quant_algo : layer),
    ]),
  );
  // Experts are named together.
  return (linear) => ofLayer.get(linear) ?? ofLayer.get(linear.replace(/\.\d+\.[^.]+$/, ''));
}

/** A pattern of the shell, or a part of a name: older versions write such. */
const globPattern = (glob: string, refuse: () => never): IsMeant => {
  const escaped = glob
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  const isWhole = pythonPattern(`(?:${escaped})$`, 'match', refuse);
  return (name) => isWhole(name) || name.includes(glob);
};

/** Throws WEIGHT_QUANT_CONTRADICTION where the files hold another kind than the configuration has. */
function storedQuant(
  fields: ConfigFields,
  { name, tensor }: StoredLinear,
  kind: Kind | undefined,
): LinearQuant | undefined {
  const [weight, scale] = [tensor('weight'), tensor('weight_scale')];
  const isFp8 = weight?.dtype === 'F8_E4M3';
  if (weight === undefined || scale === undefined) {
    if (isFp8) fields.contradict('that weights are fp8', name, 'has no weight_scale');
    return undefined;
  }
  if (kind !== (isFp8 ? 'fp8' : 'nvfp4')) {
    const says = kind ? `that it is ${kind}` : 'that it is not quantised';
    fields.contradict(says, `${name}.weight`, `is ${weight.dtype}, beside weight_scale`);
  }
  if (!isFp8) return undefined;
  const isBlocks = scale.shape.length === 4;
  return e4m3Linear(
    'weight_scale',
    scale.shape,
    scale.dtype === 'U8' ? MX_BLOCK : isBlocks ? BLOCK : undefined,
  );
}
