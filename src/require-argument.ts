import { AtbError } from './errors.js';
import { isObject } from './is-object.js';

/*
 * What callers from JavaScript get wrong of the tools that the package exports. Types say the same to TypeScript;
 * whoever has none reads these sentences instead of a TypeError from within.
 */

/** What an argument must be, in words, and whether a value is that. */
export interface ArgumentKind {
  /** Goes on after "must be": how to come by it, too, where that is not plain. */
  readonly expected: string;
  readonly holds: (value: unknown) => boolean;
}

const isWhole = (value: unknown, least: number): boolean =>
  Number.isSafeInteger(value) && (value as number) >= least;
const isList = (value: unknown, holds: (item: unknown) => boolean): boolean =>
  Array.isArray(value) && value.every(holds);

export const TEXT: ArgumentKind = { expected: 'a text', holds: (value) => typeof value === 'string' };

export const PATH: ArgumentKind = {
  expected: 'a path, a text that is not empty',
  holds: (value) => typeof value === 'string' && value !== '',
};

export const TEXTS: ArgumentKind = {
  expected: 'a list of texts',
  holds: (value) => isList(value, TEXT.holds),
};

export const OBJECT: ArgumentKind = { expected: 'an object', holds: isObject };

export const FUNCTION: ArgumentKind = {
  expected: 'a function',
  holds: (value) => typeof value === 'function',
};

export const NUMBER: ArgumentKind = { expected: 'a number', holds: (value) => typeof value === 'number' };

/** An integer of at least `least`. */
export const whole = (least: number): ArgumentKind => ({
  expected: `an integer of at least ${least}`,
  holds: (value) => isWhole(value, least),
});

/** A list of integers of at least `least`. */
export const wholes = (least: number): ArgumentKind => ({
  expected: `a list of integers of at least ${least}`,
  holds: (value) => isList(value, (item) => isWhole(item, least)),
});

/** Token ids, however many of them: only that it is a list is looked at. */
export const TOKENS: ArgumentKind = { expected: 'a list of token ids', holds: Array.isArray };

/** Token ids, be they a list or a typed array. */
export const TOKEN_IDS: ArgumentKind = {
  expected: 'a list or an array of token ids',
  holds: (value) => Array.isArray(value) || ArrayBuffer.isView(value),
};

/** What only a class of ours makes; `how` names it and says where it comes from. */
export const madeBy = (made: abstract new (...args: never[]) => unknown, how: string): ArgumentKind => ({
  expected: how,
  holds: (value) => value instanceof made,
});

/** `call` is what was called, as `flatten` or `BlockManager.grow`. @throws ARGUMENT_INVALID */
export function requireArgument(call: string, argument: string, kind: ArgumentKind, found: unknown): void {
  if (!kind.holds(found)) refuseArgument(call, argument, kind.expected, found);
}

/** Arguments that are there or not. @throws ARGUMENT_INVALID */
export function optionalArgument(call: string, argument: string, kind: ArgumentKind, found: unknown): void {
  if (found !== undefined) requireArgument(call, argument, kind, found);
}

/** @throws ARGUMENT_INVALID */
export function refuseArgument(call: string, argument: string, expected: string, found: unknown): never {
  throw new AtbError('ARGUMENT_INVALID', { call, argument, expected, found });
}
