import { refuseRequest } from '../errors.js';

export type FlagType = 'string' | 'number' | 'boolean';

/** What only some flags say of themselves. */
export interface FlagDetails {
  /** It takes several values. */
  readonly array?: true;
  readonly choices?: readonly (string | number)[];
  /** What the command line itself decides; absent where the library's default applies, which `describe` names. */
  readonly default?: string | number | boolean | readonly string[];
  readonly required?: true;
  /** Whether '' is one of its values, as of a text that is answered. */
  readonly mayBeEmpty?: true;
  /** Another flag without which it would have no effect. */
  readonly needs?: string;
  /** Makes the option's value of the flag's; undefined leaves the option out. Throws REQUEST_INVALID by the flag's name. */
  readonly read?: (value: never, name: string) => unknown;
}

export interface Flag extends FlagDetails {
  readonly type: FlagType;
  /** The option, of the library or of its command, that it sets. */
  readonly option: string;
  readonly describe: string;
}

export type Row<T extends FlagType, O extends string, D> = {
  readonly type: T;
  readonly option: O;
  readonly describe: string;
} & D;

const row =
  <T extends FlagType>(type: T) =>
  <const O extends string, const D extends FlagDetails = object>(
    option: O,
    describe: string,
    details: D = {} as D,
  ): Row<T, O, D> => ({ type, option, describe, ...details });

export const text = row('string');
export const number = row('number');
export const boolean = row('boolean');

/** The largest number of tokens or milliseconds that the engine counts. */
const MOST = 2 ** 31 - 1;

/** A whole number of this range. */
export const within =
  (min: number, max = MOST) =>
  (value: number, name: string): number =>
    Number.isSafeInteger(value) && value >= min && value <= max
      ? value
      : refuseRequest(`--${name}`, `an integer in [${min}, ${max}]`, value);

export const atLeast =
  (min: number) =>
  (value: number, name: string): number =>
    Number.isSafeInteger(value) && value >= min
      ? value
      : refuseRequest(`--${name}`, `an integer >= ${min}`, value);
