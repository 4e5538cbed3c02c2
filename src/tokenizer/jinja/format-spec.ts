import type { Value } from './values.js';

/** What a format specification asks for that the type of a value can forbid. */
export interface Wishes {
  readonly align: string | undefined;
  readonly sign: string;
  readonly isAlternate: boolean;
  readonly grouping: string;
  readonly precision: string | undefined;
  /** Empty where none was given. */
  readonly type: string;
}

const WHOLE_TYPES = 'bcdoxX';
const FLOAT_TYPES = 'eEfFgGn%';

/** What Python forbids a text or number to be written as; undefined where all is allowed. */
export function forbidden(value: string | bigint | number | boolean, wishes: Wishes): string | undefined {
  const { align, sign, isAlternate, grouping, precision, type } = wishes;
  const unknown = `Unknown format code '${type}'`;
  if (typeof value === 'string') {
    if (type !== '' && type !== 's') return unknown;
    if (sign !== '') return 'Sign not allowed in string format specifier';
    if (isAlternate) return 'Alternate form (#) not allowed in string format specifier';
    if (grouping !== '') return `Cannot specify '${grouping}' with 's'.`;
    return align === '=' ? "'=' alignment not allowed in string format specifier" : undefined;
  }
  const isWhole = typeof value !== 'number' && (type === '' || WHOLE_TYPES.includes(type) || type === 'n');
  if (!isWhole && type !== '' && !FLOAT_TYPES.includes(type)) return unknown;
  if (isWhole && precision !== undefined) return 'Precision not allowed in integer format specifier';
  if (type === 'c' && (sign !== '' || isAlternate))
    return "Sign not allowed with integer format specifier 'c'";
  const isGrouped = type === '' || 'deEfFgG%'.includes(type) || (grouping === '_' && 'boxX'.includes(type));
  return grouping !== '' && !isGrouped ? `Cannot specify '${grouping}' with '${type}'.` : undefined;
}

/** Whether `%` can write a value with this letter. */
export function isPercentType(value: Value, type: string): boolean {
  if (type === 'c')
    return typeof value === 'string'
      ? Array.from(value).length === 1
      : typeof value === 'bigint' || typeof value === 'boolean';
  if ('oxX'.includes(type)) return typeof value !== 'number';
  return 'diueEfFgGsra'.includes(type);
}
