import { describeValue } from '../../errors.js';
import type { RopeConfig, RopeScaling } from '../../step-inputs/rotary/rope-config.js';
import {
  type ConfigDict,
  type FieldValues,
  flag,
  integer,
  isDict,
  listOf,
  positive,
  readFields,
} from './fields.js';

const MAX_POSITIONS = 2 ** 31 - 1;

const FIELDS = {
  rope_theta: positive(1e15),
  partial_rotary_factor: positive(1),
  factor: positive(1e6),
  original_max_position_embeddings: integer(2, MAX_POSITIONS),
  low_freq_factor: positive(1e6),
  high_freq_factor: positive(1e6),
  beta_fast: positive(1e6),
  beta_slow: positive(1e6),
  mscale: positive(1e6, -1e6),
  mscale_all_dim: positive(1e6, -1e6),
  attention_factor: positive(1e6),
  truncate: flag,
  short_factor: listOf(positive(1e9), 'positive numbers'),
  long_factor: listOf(positive(1e9), 'positive numbers'),
};

/** Other spellings: LongRoPE was first called "su". */
const ALIASES: Readonly<Record<string, RopeScaling['type']>> = { su: 'longrope' };
const TYPES: readonly RopeScaling['type'][] = ['default', 'linear', 'dynamic', 'llama3', 'yarn', 'longrope'];

/**
 * Reads `rope_parameters` (transformers 5), or `rope_theta` with `rope_scaling` (before). Adds to `problems` whatever
 * is missing, out of range, contradictory or of a type that is not implemented: a RoPE must never be guessed.
 */
export function parseRope(
  dict: ConfigDict,
  known: { readonly headDim: number; readonly maxPositionEmbeddings: number },
  problems: string[],
): RopeConfig {
  const { headDim, maxPositionEmbeddings } = known;
  const [where, scaling] = ropeDict(dict, problems);
  const fields = readFields(scaling, FIELDS, problems, `${where}.`);
  const { rope_theta, partial_rotary_factor, original_max_position_embeddings } = FIELDS;
  const beside = { rope_theta, partial_rotary_factor, original_max_position_embeddings };
  const top = readFields(dict, beside, problems);
  if ((fields.partial_rotary_factor ?? top.partial_rotary_factor ?? 1) !== 1) {
    problems.push('partial_rotary_factor other than 1 is not supported');
  }
  if (headDim % 2 !== 0) problems.push(`head_dim must be even for rotary embeddings, found ${headDim}`);
  const theta = fields.rope_theta ?? top.rope_theta ?? 10_000;
  const given: Given = {
    ...known,
    theta,
    fields,
    // Phi-3 writes it beside max_position_embeddings, and there it counts.
    original: top.original_max_position_embeddings ?? fields.original_max_position_embeddings,
    isNull: (name) => Object.hasOwn(scaling, name) && scaling[name] === null,
    isAbsent: (name) => (scaling[name] ?? null) === null,
    problem: (text) => problems.push(`${where}.${text}`),
  };
  return {
    theta,
    headDim,
    maxPositionEmbeddings,
    scaling: SCALINGS[ropeType(scaling, where, problems)](given),
  };
}

/** What the scalings below choose from. */
interface Given {
  readonly headDim: number;
  readonly maxPositionEmbeddings: number;
  readonly theta: number;
  readonly fields: FieldValues<typeof FIELDS>;
  readonly original: number | undefined;
  isNull(name: keyof typeof FIELDS): boolean;
  isAbsent(name: keyof typeof FIELDS): boolean;
  problem(text: string): void;
}

/** A field that must be there; one that is there but malformed has been reported already. */
function need<K extends keyof typeof FIELDS, T>(
  given: Given,
  name: K,
  fallback: T,
): T | NonNullable<Given['fields'][K]> {
  if (given.isAbsent(name)) given.problem(`${name} is missing`);
  return given.fields[name] ?? fallback;
}

function originalLength(given: Given): number {
  if (given.original === undefined) given.problem('original_max_position_embeddings is missing');
  return given.original ?? given.maxPositionEmbeddings;
}

const SCALINGS: { readonly [T in RopeScaling['type']]: (given: Given) => Extract<RopeScaling, { type: T }> } =
  {
    default: () => ({ type: 'default' }),
    linear: (given) => ({ type: 'linear', factor: need(given, 'factor', 1) }),
    dynamic(given) {
      if (given.headDim <= 2) given.problem('rope_type dynamic needs head_dim above 2');
      return { type: 'dynamic', factor: need(given, 'factor', 1) };
    },
    llama3(given) {
      const lowFreqFactor = need(given, 'low_freq_factor', 1);
      const highFreqFactor = need(given, 'high_freq_factor', 4);
      if (highFreqFactor <= lowFreqFactor) {
        given.problem(
          `high_freq_factor (${highFreqFactor}) must be above low_freq_factor (${lowFreqFactor})`,
        );
      }
      const factor = need(given, 'factor', 1);
      return {
        type: 'llama3',
        factor,
        lowFreqFactor,
        highFreqFactor,
        originalMaxPositionEmbeddings: originalLength(given),
      };
    },
    yarn(given) {
      const { fields, theta, maxPositionEmbeddings } = given;
      if (theta <= 1) given.problem(`rope_theta must be above 1 for yarn, found ${theta}`);
      const original = originalLength(given);
      // transformers reads a null factor as this ratio, and wants the key.
      const factor = given.isNull('factor') ? maxPositionEmbeddings / original : need(given, 'factor', 1);
      const { mscale, mscale_all_dim: allDim } = fields;
      const inferred =
        mscale && allDim ? magnitude(factor, mscale) / magnitude(factor, allDim) : magnitude(factor, 1);
      return {
        type: 'yarn',
        factor,
        originalMaxPositionEmbeddings: original,
        betaFast: fields.beta_fast ?? 32,
        betaSlow: fields.beta_slow ?? 1,
        truncate: fields.truncate ?? true,
        attentionFactor: fields.attention_factor ?? inferred,
      };
    },
    longrope(given) {
      const { fields, headDim, maxPositionEmbeddings } = given;
      for (const name of ['short_factor', 'long_factor'] as const) {
        const length = fields[name]?.length ?? headDim / 2;
        if (length !== headDim / 2) {
          given.problem(`${name} must have ${headDim / 2} entries, half of head_dim, found ${length}`);
        }
      }
      const original = originalLength(given);
      return {
        type: 'longrope',
        shortFactor: need(given, 'short_factor', []),
        longFactor: need(given, 'long_factor', []),
        originalMaxPositionEmbeddings: original,
        attentionFactor:
          fields.attention_factor ??
          longropeMagnitude(fields.factor ?? maxPositionEmbeddings / original, original),
      };
    },
  };

/** YaRN's attention factor, arXiv:2309.00071 section 3.4. */
const magnitude = (factor: number, mscale: number): number =>
  factor <= 1 ? 1 : 0.1 * mscale * Math.log(factor) + 1;

const longropeMagnitude = (factor: number, original: number): number =>
  factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(original));

/** The object that holds the parameters, and its name for messages. */
function ropeDict(dict: ConfigDict, problems: string[]): readonly [string, ConfigDict] {
  const given = (['rope_scaling', 'rope_parameters'] as const).filter(
    (name) => (dict[name] ?? null) !== null,
  );
  for (const name of given) {
    if (!isDict(dict[name])) problems.push(`${name} must be an object, found ${describeValue(dict[name])}`);
  }
  const [first, second] = given.filter((name) => isDict(dict[name]));
  if (first === undefined) return ['rope_scaling', {}];
  if (second !== undefined && JSON.stringify(dict[first]) !== JSON.stringify(dict[second])) {
    problems.push('rope_scaling and rope_parameters contradict each other');
  }
  const found = dict[first] as ConfigDict;
  const nested = Object.keys(found).find((key) => isDict(found[key]));
  if (nested !== undefined)
    problems.push(`${first}.${nested}: RoPE that differs between layers is not supported`);
  return [first, found];
}

function ropeType(scaling: ConfigDict, where: string, problems: string[]): RopeScaling['type'] {
  const named = (['rope_type', 'type'] as const).filter((key) => (scaling[key] ?? null) !== null);
  const types = named.map((key) => {
    const spelt = scaling[key];
    const type = typeof spelt === 'string' && Object.hasOwn(ALIASES, spelt) ? ALIASES[spelt] : spelt;
    const found = TYPES.find((known) => known === type);
    if (!found)
      problems.push(`${where}.${key} must be one of ${TYPES.join(', ')}, found ${describeValue(spelt)}`);
    return found;
  });
  if (types.length === 2 && types[0] !== types[1]) {
    problems.push(
      `${where}.rope_type and ${where}.type contradict each other: ${named.map((key) => scaling[key]).join(' and ')}`,
    );
  }
  if (types.length === 0 && 'factor' in scaling) problems.push(`${where}.rope_type is missing`);
  return types[0] ?? 'default';
}
