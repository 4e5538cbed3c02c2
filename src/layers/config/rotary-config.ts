import { describeValue } from '../../describe-value.js';
import { isObject } from '../../is-object.js';
import type { RopeConfig, RopeScaling } from '../../step-inputs/index.js';
import { integer, type Names } from './checks.js';
import { type ConfigReader, sameMeaning } from './config-reader.js';
import { type Default, type Field, required } from './fields.js';
import { RopeParameters } from './rope-parameters.js';

/** How a family turns queries and keys by their positions. */
export interface RotaryConfigOptions {
  /** The base of the frequencies where config.json has none. */
  readonly theta: Default<number>;
  /** What config.json calls the base beside `rope_parameters`; `rope_theta` by default. */
  readonly thetaNames?: Names;
  /**
   * Which share of a head turns where config.json does not say. Without it heads turn as a whole, and a config.json that
   * says otherwise is refused.
   */
  readonly factor?: Default<number>;
  /** What config.json calls that share; `partial_rotary_factor` by default. */
  readonly factorNames?: Names;
  /** Whether elements 2i and 2i + 1 turn together. */
  readonly interleaved?: boolean;
  /** Whether elements turn the other way. */
  readonly turnsBack?: boolean;
  /** Whether cos and sin stay f32 whatever is turned by them; they are rounded to its dtype when absent. */
  readonly keepsF32?: boolean;
  /** Whether `alpha` beside type "dynamic" stretches the base once and for all, as Hunyuan has it. */
  readonly readsAlpha?: boolean;
  /** Names of types that only files of this family have. */
  readonly typeNames?: Readonly<Record<string, RopeScaling['type']>>;
}

/** The properties that a RoPE depends on. */
export interface RotarySizes {
  readonly headDim: number;
  readonly maxPositionEmbeddings: number;
}

/**
 * Reads `rope_parameters` (transformers 5), or `rope_theta` with `rope_scaling` (before). Whatever is missing, out of
 * range, contradictory or of a type that is not implemented is a problem: a RoPE must never be guessed.
 */
export const rotaryConfig = (options: RotaryConfigOptions): Field<RopeConfig, RotarySizes> => ({
  read(json, config) {
    const sections = (['rope_scaling', 'rope_parameters'] as const).flatMap((name) => {
      const section = json.section(name);
      // An empty object says nothing.
      if (section === undefined || Object.keys(section.dict).length === 0) return [];
      const nested = Object.keys(section.dict).find((key) => isObject(section.dict[key]));
      if (nested === undefined) return section;
      return section.fail(`${nested}: RoPE that differs between layers is not supported by this family`);
    });
    const rope = readRope(json, sections[0], options, config);
    // A checkpoint saved by one release for another may say it in both ways.
    if (sections[1] !== undefined && !sameMeaning(rope, readRope(json, sections[1], options, config))) {
      json.problem('rope_scaling and rope_parameters contradict each other');
    }
    return rope;
  },
});

/** One whose files say by `rotary_dim` how many elements of a head turn, or, saved by transformers 5, which share of it. */
export const rotaryOfDim = (theta: number): Field<RopeConfig, RotarySizes> => ({
  read(json, config) {
    const turned = json.value('rotary_dim', integer(2, config.headDim)) ?? config.headDim;
    return rotaryConfig({ theta, factor: turned / config.headDim }).read(json, config);
  },
});

/** One type of layers: what is its own. */
export interface LayerTypeRotary extends RotaryConfigOptions {
  /** Whether `rope_scaling`, which knows no types of layers, is meant for this one. */
  readonly isScaled: boolean;
}

/**
 * A RoPE for each type of layers: an object in `rope_parameters` under each name (transformers 5), or bases under names
 * of their own, and `rope_scaling` for some types (before).
 */
export const rotaryConfigByLayerType = <T extends string>(
  types: Readonly<Record<T, LayerTypeRotary>>,
): Field<Readonly<Record<T, RopeConfig>>, RotarySizes> => ({
  read(json, config) {
    const parameters = json.section('rope_parameters');
    const scaling = json.section('rope_scaling');
    if (parameters && scaling && Object.keys(scaling.dict).length > 0) {
      json.problem('rope_scaling and rope_parameters must not both be there');
    }
    const names = Object.keys(types) as T[];
    for (const [name, value] of Object.entries(parameters?.dict ?? {})) {
      if (value !== null && !names.some((known) => known === name)) {
        parameters?.problem(`${name}: this family has a RoPE for each of ${names.join(' and ')}`);
      }
    }
    const read = names.map((name) => {
      const options = types[name];
      const section = parameters?.section(name) ?? (options.isScaled ? scaling : undefined);
      return [name, readRope(json, section, options, config)] as const;
    });
    return Object.fromEntries(read) as Record<T, RopeConfig>;
  },
});

/** Whether a model that could rotate has ALiBi instead. */
export interface UsesAlibi {
  readonly usesAlibi: boolean;
}

/** A RoPE in models without ALiBi. Files may say how heads turn where ALiBi leaves them as they are. */
export const rotaryOrAlibi = (
  options: RotaryConfigOptions,
): Field<RopeConfig | undefined, UsesAlibi & RotarySizes> => ({
  read(json, config) {
    const said = rotaryConfig(options).read(json, config);
    return config.usesAlibi ? undefined : said;
  },
});

type ByWindow = 'full_attention' | 'sliding_attention';
export type RopesByWindow = Readonly<Record<ByWindow, RopeConfig>>;
const ropeOf = (type: ByWindow): Field<RopeConfig, { readonly ropes: RopesByWindow }> => ({
  read: (_, { ropes }) => ropes[type],
});

/** Such a pair as the properties that models read. */
export const ropesOf = <N>(ropes: Field<RopesByWindow, N>) => ({
  ropes,
  rope: ropeOf('full_attention'),
  slidingRope: ropeOf('sliding_attention'),
});

/** One RoPE for layers that see all keys, and one for those with a window. */
export const rotaryByWindow = (types: Readonly<Record<ByWindow, LayerTypeRotary>>) =>
  ropesOf(rotaryConfigByLayerType(types));

function readRope(
  json: ConfigReader,
  section: ConfigReader | undefined,
  options: RotaryConfigOptions,
  config: RotarySizes,
): RopeConfig {
  const parameters = new RopeParameters(json, section);
  // What is wrong here is told before sizes are asked for, which may be unreadable.
  const given = parameters.theta(options.thetaNames ?? 'rope_theta') ?? options.theta;
  if (given === required) parameters.problem('rope_theta is missing');
  const theta = given === required ? 1 : given;
  const type = parameters.type(options.typeNames);
  // A share of frequencies, and not of a head.
  const factor = type === 'proportional' ? 1 : rotaryFactor(parameters, options);
  const alpha = options.readsAlpha && type === 'dynamic' ? parameters.number('alpha') : undefined;

  const { headDim, maxPositionEmbeddings } = config;
  const rotaryDim = Math.trunc(headDim * factor);
  if (headDim % 2 !== 0) json.problem(`head_dim must be even for rotary embeddings, found ${headDim}`);
  else if (rotaryDim % 2 !== 0 || rotaryDim === 0) {
    json.problem(`an even number of a head's ${headDim} elements must turn, found ${rotaryDim}`);
  }
  const { interleaved = false, turnsBack, keepsF32 } = options;
  const rope = {
    ...{ headDim, rotaryDim, interleaved, maxPositionEmbeddings },
    ...(turnsBack && { turnsBack }),
    ...(keepsF32 && { keepsF32 }),
  };
  if (alpha !== undefined) {
    if (rotaryDim <= 2) parameters.problem('alpha needs head_dim above 2');
    const stretched = theta * alpha ** (rotaryDim / (rotaryDim - 2));
    return { ...rope, theta: stretched, scaling: { type: 'default' } };
  }
  const scaling: RopeScaling = parameters.scaling(type, { ...rope, theta });
  return { ...rope, theta, scaling };
}

function rotaryFactor(parameters: RopeParameters, options: RotaryConfigOptions): number {
  const given = parameters.factor(options.factorNames ?? 'partial_rotary_factor');
  if (options.factor === undefined) {
    if ((given ?? 1) !== 1) {
      parameters.problem(
        `partial_rotary_factor other than 1 is not supported by this family, found ${describeValue(given)}`,
      );
    }
    return 1;
  }
  const factor = given ?? options.factor;
  if (factor === required) parameters.problem('partial_rotary_factor is missing');
  return factor === required ? 1 : factor;
}
