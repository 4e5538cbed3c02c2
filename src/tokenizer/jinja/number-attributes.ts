import { numberOf } from './iteration.js';
import { Callable, Tuple, type Value } from './values.js';

/** Attributes and methods of Python's int, bool and float; undefined for those that a number lacks. */
export function numberAttribute(object: boolean | bigint | number, name: string): Value | undefined {
  const value = numberOf(object);
  const method = (call: () => Value): Callable => new Callable(name, call);
  if (name === 'real') return value;
  if (name === 'imag') return typeof value === 'bigint' ? 0n : 0;
  if (name === 'conjugate') return method(() => value);
  if (typeof value === 'number')
    return name === 'is_integer' ? method(() => Number.isInteger(value)) : undefined;
  const bits = (value < 0n ? -value : value).toString(2);
  switch (name) {
    case 'numerator':
      return value;
    case 'denominator':
      return 1n;
    case 'bit_length':
      return method(() => BigInt(value === 0n ? 0 : bits.length));
    case 'bit_count':
      return method(() => BigInt(bits.replaceAll('0', '').length));
    case 'as_integer_ratio':
      return method(() => new Tuple([value, 1n]));
    default:
      return undefined;
  }
}
