import { join } from 'node:path';
import { describeValue } from '../../describe-value.js';
import { AtbError } from '../../errors.js';
import type { FormatSource } from './format.js';
import type { ScaleBlock } from './small-floats.js';

/** The groups of input channels that the engine has. */
const GROUP_STEP = 32;
const MAX_GROUP = 1024;

const isWhole = (value: unknown): value is number => Number.isSafeInteger(value);
const isGroup = (value: unknown): value is number =>
  isWhole(value) && value >= GROUP_STEP && value <= MAX_GROUP && value % GROUP_STEP === 0;

/** Reads what config.json says of a method, and refuses what is not read. All throw WEIGHT_QUANT_DESCRIPTION. */
export class ConfigFields {
  readonly file: string;

  constructor(
    { directory }: Pick<FormatSource, 'directory'>,
    private readonly config: Readonly<Record<string, unknown>>,
    private readonly path = 'quantization_config',
    file = join(directory, 'config.json'),
  ) {
    this.file = file;
  }

  /** One of several values; the first where the field is absent or null. */
  oneOf<T extends string | number | boolean>(field: string, known: readonly [T, ...T[]]): T {
    const found = this.config[field] ?? known[0];
    const value = known.find((each) => each === found);
    return value ?? this.refuse(field, `one of ${known.map(describeValue).join(', ')}`, found);
  }

  /** How many channels share a scale; 0 for all of an output's, which files call -1. Absent: `fallback`. */
  groupSize(field = 'group_size', fallback = -1): number {
    const found = this.config[field] ?? fallback;
    if (found === -1 || found === 0) return 0;
    return isGroup(found)
      ? found
      : this.refuse(field, `-1 or a multiple of ${GROUP_STEP} up to ${MAX_GROUP}`, found);
  }

  /** Outputs and input channels that share a scale. */
  block(field: string): ScaleBlock {
    const found = this.config[field];
    const [rows, channels] = Array.isArray(found) && found.length === 2 ? (found as unknown[]) : [];
    const isBlock = isWhole(rows) && rows > 0 && isGroup(channels);
    return isBlock
      ? { rows, channels }
      : this.refuse(
          field,
          `[rows, channels], channels a multiple of ${GROUP_STEP} up to ${MAX_GROUP}`,
          found,
        );
  }

  /** A whole number above 0. */
  count(field: string): number {
    const found = this.config[field];
    return isWhole(found) && found > 0 ? found : this.refuse(field, 'a whole number above 0', found);
  }

  /** How many numbers a tensor has along its axes. */
  shape(field: string): readonly number[] {
    const found = this.config[field];
    const isShape = Array.isArray(found) && found.every((size) => isWhole(size) && size >= 0);
    return isShape ? (found as number[]) : this.refuse(field, 'an array of sizes', found);
  }

  /** A number that is finite. */
  number(field: string): number {
    const found = this.config[field];
    return typeof found === 'number' && Number.isFinite(found)
      ? found
      : this.refuse(field, 'a finite number', found);
  }

  /** Names; none where the field is absent or null. */
  names(field: string): string[] {
    const found = this.config[field] ?? [];
    if (Array.isArray(found) && found.every((name) => typeof name === 'string')) return found;
    return this.refuse(field, 'an array of strings', found);
  }

  refuse(field: string, expected: string, found: unknown): never {
    throw new AtbError('WEIGHT_QUANT_DESCRIPTION', {
      file: this.file,
      field: `${this.path}.${field}`,
      expected,
      found: describeValue(found),
    });
  }

  /** @throws WEIGHT_QUANT_CONTRADICTION */
  contradict(says: string, name: string, found: string): never {
    throw new AtbError('WEIGHT_QUANT_CONTRADICTION', { file: this.file, says, name, found });
  }
}
