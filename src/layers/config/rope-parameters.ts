import { describeValue } from '../../describe-value.js';
import type { RopeConfig, RopeScaling } from '../../step-inputs/index.js';
import {
  type Check,
  flag,
  integer,
  listOf,
  MAX_POSITIONS,
  type Names,
  notNegative,
  positive,
} from './checks.js';
import type { ConfigReader } from './config-reader.js';

const THETA = positive(1e15);
const SHARE = positive(1);
const POSITIVE = positive(1e6);
const MAGNITUDE = notNegative(1e6);
const ORIGINAL_LENGTH = integer(2, MAX_POSITIONS);
const FACTORS = listOf(positive(1e9), 'positive numbers');

/**
 * Other spellings: LongRoPE was first called "su", YaRN has DeepSeek's name in Sarvam's files; "mrope" scales nothing, and
 * what it does its sections say.
 */
const ALIASES: Readonly<Record<string, RopeScaling['type']>> = {
  su: 'longrope',
  mrope: 'default',
  deepseek_yarn: 'yarn',
};
const TYPES: readonly RopeScaling['type'][] = [
  ...(['default', 'linear', 'dynamic', 'llama3', 'yarn', 'longrope', 'proportional'] as const),
];

type Unscaled = Omit<RopeConfig, 'scaling'>;
type Scaling<T extends RopeScaling['type']> = Extract<RopeScaling, { type: T }>;

/** The parameters of one RoPE: an object of config.json, and what stands beside it. */
export class RopeParameters {
  constructor(
    private readonly top: ConfigReader,
    private readonly section: ConfigReader | undefined,
  ) {}

  problem(text: string): void {
    (this.section ?? this.top).problem(text);
  }

  theta(names: Names): number | undefined {
    // Both are checked, and the nearer one counts.
    const beside = this.#beside(names, THETA);
    return this.section?.optional('rope_theta', THETA) ?? beside;
  }

  factor(names: Names): number | undefined {
    const beside = this.#beside(names, SHARE);
    return this.section?.optional('partial_rotary_factor', SHARE) ?? beside;
  }

  number(name: string): number | undefined {
    return this.section?.optional(name, POSITIVE);
  }

  type(names: Readonly<Record<string, RopeScaling['type']>> = {}): RopeScaling['type'] {
    const { section } = this;
    if (section === undefined) return 'default';
    const named = (['rope_type', 'type'] as const).filter((key) => !section.isAbsent(key));
    const types = named.map((key) => {
      const spelt = section.raw(key);
      const known = { ...ALIASES, ...names };
      const type = typeof spelt === 'string' && Object.hasOwn(known, spelt) ? known[spelt] : spelt;
      const found = TYPES.find((each) => each === type);
      if (!found) section.problem(`${key} must be one of ${TYPES.join(', ')}, found ${describeValue(spelt)}`);
      return found;
    });
    if (types.length === 2 && types[0] !== types[1]) {
      section.problem(`rope_type and ${section.path('type')} contradict each other: ${types.join(' and ')}`);
    }
    if (types.length === 0 && 'factor' in section.dict) section.problem('rope_type is missing');
    return types[0] ?? 'default';
  }

  scaling(type: RopeScaling['type'], rope: Unscaled): RopeScaling {
    return SCALINGS[type](this, rope);
  }

  optional<T>(name: string, check: Check<T>): T | undefined {
    return this.section?.optional(name, check);
  }

  /** A member that must be there; one that is malformed has been reported already. */
  need<T>(name: string, check: Check<T>, standIn: T): T {
    if (this.section?.isAbsent(name) ?? true) this.problem(`${name} is missing`);
    return this.optional(name, check) ?? standIn;
  }

  isNull(name: string): boolean {
    return this.section?.isNull(name) ?? false;
  }

  /** How many positions the model knew before it was stretched. Where nothing says, transformers takes all that it has. */
  originalLength({ maxPositionEmbeddings }: Unscaled): number {
    const name = 'original_max_position_embeddings';
    const inner = this.optional(name, ORIGINAL_LENGTH);
    // Phi-3 writes it beside max_position_embeddings, and there it counts.
    const outer = this.top.optional(name, ORIGINAL_LENGTH);
    if (outer === undefined && this.isNull(name)) this.problem(`${name} is missing`);
    return outer ?? inner ?? maxPositionEmbeddings;
  }

  #beside<T>(names: Names, check: Check<T>): T | undefined {
    const before = this.top.problems.length;
    const found = [names].flat().map((name) => this.top.optional(name, check));
    return this.top.problems.length > before ? undefined : found.find((value) => value !== undefined);
  }
}

const SCALINGS: {
  readonly [T in RopeScaling['type']]: (json: RopeParameters, rope: Unscaled) => Scaling<T>;
} = {
  default: () => ({ type: 'default' }),
  linear: (json) => ({ type: 'linear', factor: json.need('factor', POSITIVE, 1) }),
  proportional: (json, { headDim }) => ({
    type: 'proportional',
    turning: Math.trunc(((json.optional('partial_rotary_factor', SHARE) ?? 1) * headDim) / 2),
    factor: json.optional('factor', POSITIVE) ?? 1,
  }),
  dynamic(json, { rotaryDim }) {
    if (rotaryDim <= 2) json.problem('rope_type dynamic needs head_dim above 2');
    return { type: 'dynamic', factor: json.need('factor', POSITIVE, 1) };
  },
  llama3(json, rope) {
    const lowFreqFactor = json.need('low_freq_factor', POSITIVE, 1);
    const highFreqFactor = json.need('high_freq_factor', POSITIVE, 4);
    if (highFreqFactor < lowFreqFactor) {
      json.problem(
        `high_freq_factor (${highFreqFactor}) must not be below low_freq_factor (${lowFreqFactor})`,
      );
    }
    const factor = json.need('factor', POSITIVE, 1);
    const originalMaxPositionEmbeddings = json.originalLength(rope);
    return { type: 'llama3', factor, lowFreqFactor, highFreqFactor, originalMaxPositionEmbeddings };
  },
  yarn(json, rope) {
    const { theta, maxPositionEmbeddings } = rope;
    if (theta <= 1) json.problem(`rope_theta must be above 1 for yarn, found ${theta}`);
    const original = json.originalLength(rope);
    // transformers reads a null factor as this ratio, and wants the key.
    const factor = json.isNull('factor')
      ? maxPositionEmbeddings / original
      : json.need('factor', POSITIVE, 1);
    const mscale = json.optional('mscale', MAGNITUDE);
    const allDim = json.optional('mscale_all_dim', MAGNITUDE);
    const inferred =
      mscale && allDim ? magnitude(factor, mscale) / magnitude(factor, allDim) : magnitude(factor, 1);
    return {
      type: 'yarn',
      factor,
      originalMaxPositionEmbeddings: original,
      betaFast: json.optional('beta_fast', POSITIVE) ?? 32,
      betaSlow: json.optional('beta_slow', POSITIVE) ?? 1,
      truncate: json.optional('truncate', flag) ?? true,
      attentionFactor: json.optional('attention_factor', POSITIVE) ?? inferred,
      ...(allDim && { scoreFactor: magnitude(factor, allDim) ** 2 }),
    };
  },
  longrope(json, rope) {
    const { rotaryDim, maxPositionEmbeddings } = rope;
    const factors = (name: string): readonly number[] => {
      const found = json.need<readonly number[] | undefined>(name, FACTORS, undefined);
      if (found !== undefined && found.length !== rotaryDim / 2) {
        const whole = rotaryDim === rope.headDim ? 'head_dim' : 'the elements that turn';
        json.problem(`${name} must have ${rotaryDim / 2} entries, half of ${whole}, found ${found.length}`);
      }
      return found ?? [];
    };
    const shortFactor = factors('short_factor');
    const longFactor = factors('long_factor');
    const original = json.originalLength(rope);
    const factor = json.optional('factor', POSITIVE) ?? maxPositionEmbeddings / original;
    // PhiMoE says by what cos and sin are multiplied, below the original length and beyond.
    const [short, long] = ['short_mscale', 'long_mscale'].map((name) => json.optional(name, POSITIVE));
    if (short !== long)
      json.problem(
        `short_mscale (${short}) and long_mscale (${long}) must be the same: one magnitude is built`,
      );
    return {
      type: 'longrope',
      shortFactor,
      longFactor,
      originalMaxPositionEmbeddings: original,
      attentionFactor:
        short ?? json.optional('attention_factor', POSITIVE) ?? longropeMagnitude(factor, original),
    };
  },
};

/** YaRN's attention factor, arXiv:2309.00071 section 3.4. */
const magnitude = (factor: number, mscale: number): number =>
  factor <= 1 ? 1 : 0.1 * mscale * Math.log(factor) + 1;

const longropeMagnitude = (factor: number, original: number): number =>
  factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(original));
