/**
 * What a param key holds: a flag, a number, a list of numbers, the same without fractions, a string, a string of one of
 * ATB's enums (`enum-strings.ts`), one of the listed values, or a block with keys of its own.
 */
export type KeyType =
  | 'bool'
  | 'number'
  | 'numbers'
  | 'integer'
  | 'integers'
  | 'string'
  | `enum:${string}`
  | readonly (string | number | boolean)[]
  | KeyTypes;

export interface KeyTypes {
  readonly [key: string]: KeyType;
}
