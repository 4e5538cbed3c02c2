import { isObject } from '../../../is-object.js';
import { ConfigFields } from '../config-fields.js';
import type { FormatSource } from '../format.js';
import { type IsMeant, patternRefusal, pythonPattern } from '../python-patterns.js';

type Dict = Readonly<Record<string, unknown>>;

/** How numbers of a linear are quantised: `QuantizationArgs`. Compressors read the fields that they know. */
export interface QuantArgs {
  readonly fields: ConfigFields;
  readonly bits: unknown;
  readonly type: unknown;
  readonly strategy: unknown;
  readonly isSymmetric: boolean;
  /** Scales are made of the numbers while the model runs. */
  readonly isDynamic: boolean;
}

/** How linears are quantised: one of the `config_groups`. */
export interface Scheme {
  readonly name: string;
  /** The compressor that wrote the tensors: `pack-quantized`. */
  readonly format: string;
  readonly weights: QuantArgs;
  readonly inputs: QuantArgs | undefined;
}

/** Says for each linear, by its name in the files, by which scheme it is quantised; undefined for floats. */
export type SchemeOf = (linear: string) => Scheme | undefined;

/**
 * Which linears the configuration names, as compressed-tensors 0.20 decides it (`match_targets`): what is ignored stays as
 * it is; a name counts before a pattern ("re:", from the start of the name), a pattern before a class. All throw
 * WEIGHT_QUANT_DESCRIPTION.
 */
export function schemes(source: FormatSource, config: Dict): SchemeOf {
  const top = new ConfigFields(source, config);
  const groups = isObject(config.config_groups)
    ? config.config_groups
    : top.refuse('config_groups', 'an object', config.config_groups);
  const ofTarget = new Map<string, Scheme>();
  for (const [name, group] of Object.entries(groups)) {
    // Such a group is about activations or caches alone, which stay floats.
    if (isObject(group) && group.weights === null) continue;
    const fields = new ConfigFields(
      source,
      isObject(group) ? group : {},
      `quantization_config.config_groups.${name}`,
    );
    const scheme = readScheme(source, fields, name, group, config.format);
    for (const target of fields.names('targets')) ofTarget.set(target, scheme);
  }
  const matcher = (field: string, target: string) => matcherOf(target, patternRefusal(top, field, target));
  const ignored = top.names('ignore').map((target) => matcher('ignore', target));
  const targeted = [...ofTarget]
    .toSorted(([a], [b]) => bySpecificity(a, b))
    .map(([target, scheme]) => ({ isMeant: matcher('config_groups', target), scheme }));
  return (linear) =>
    ignored.some((isIgnored) => isIgnored(linear))
      ? undefined
      : targeted.find(({ isMeant }) => isMeant(linear))?.scheme;
}

/** The class that every linear of a model has. */
const LINEAR_CLASS = 'Linear';

const rank = (target: string): number => (target === LINEAR_CLASS ? 2 : target.startsWith('re:') ? 1 : 0);
const bySpecificity = (a: string, b: string): number => rank(a) - rank(b) || (a < b ? -1 : 1);

function matcherOf(target: string, refuse: () => never): IsMeant {
  if (target === LINEAR_CLASS) return () => true;
  if (!target.startsWith('re:')) return (linear) => linear === target;
  return pythonPattern(target.slice('re:'.length), 'match', refuse);
}

/** What older versions call both compressors that put no numbers together. */
const NAIVE = 'naive-quantized';
const ofNaive = ({ type }: QuantArgs): string => (type === 'float' ? 'float-quantized' : 'int-quantized');

function readScheme(
  source: FormatSource,
  fields: ConfigFields,
  name: string,
  group: unknown,
  common: unknown,
): Scheme {
  const {
    weights,
    input_activations: inputs,
    output_activations: outputs,
    format,
  } = isObject(group) ? group : ({} as Dict);
  if (outputs != null) fields.refuse('output_activations', 'null', outputs);
  const found = format ?? common;
  if (typeof found !== 'string') fields.refuse('format', 'the name of a compressor', found);
  if (!isObject(weights)) fields.refuse('weights', 'an object', weights);
  const args = (field: string, value: Dict) =>
    readArgs(new ConfigFields(source, value, `quantization_config.config_groups.${name}.${field}`), value);
  const ofWeights = args('weights', weights as Dict);
  return {
    name,
    format: found === NAIVE ? ofNaive(ofWeights) : (found as string),
    weights: ofWeights,
    inputs: isObject(inputs) ? args('input_activations', inputs) : undefined,
  };
}

const readArgs = (fields: ConfigFields, value: Dict): QuantArgs => ({
  fields,
  bits: value.num_bits,
  type: value.type ?? 'int',
  strategy: value.strategy ?? (value.group_size == null ? 'tensor' : 'group'),
  isSymmetric: fields.oneOf('symmetric', [true, false] as const),
  isDynamic: value.dynamic === true,
});
