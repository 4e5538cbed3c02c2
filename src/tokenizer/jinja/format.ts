import type { Budget } from './budget.js';
import { forbidden, isPercentType } from './format-spec.js';
import { floatText, toAscii, toRepr, toText } from './text.js';
import {
  codePoints,
  Dict,
  List,
  Range,
  TemplateRuntimeError,
  Tuple,
  typeName,
  Undefined,
  type Value,
} from './values.js';

/** How one value is to be written: Python's format specification. */
interface Style {
  readonly fill: string;
  readonly align: string;
  readonly sign: string;
  readonly isAlternate: boolean;
  readonly width: number;
  readonly grouping: string;
  readonly precision: number | undefined;
  readonly type: string;
}

const PERCENT = /%(?:\(([^)]*)\))?([-+ 0#]*)(\*|\d+)?(?:\.(\*|\d+)?)?[hlL]?([\s\S]|$)/g;
const SPEC = /^(?:([\s\S]?)([<>=^]))?([-+ ]?)(#?)(0?)(\d*)([,_]?)(?:\.(\d+))?([a-zA-Z%]?)$/u;
/** Digits after the point; JavaScript writes no more. */
const MAX_PRECISION = 100;

/** `text % values`. */
export function formatPercent(text: string, values: Value, budget: Budget): string {
  const args = values instanceof Tuple ? values.items : [values];
  let taken = 0;
  const next = (): Value => {
    const value = args[taken++];
    if (value === undefined) throw new TemplateRuntimeError('not enough arguments for format string');
    return value;
  };
  const size = (given: string | undefined): number => Number(given === '*' ? next() : (given ?? 0));
  let isMapped = false;
  const result = text.replace(PERCENT, (whole, key, flags: string, width, precision, type: string) => {
    if (whole === '%%') return '%';
    const hasPoint = whole.includes('.');
    const fieldWidth = size(width);
    const digits = hasPoint ? size(precision) : undefined;
    let value: Value;
    if (key === undefined) value = next();
    else {
      if (!(values instanceof Dict)) throw new TemplateRuntimeError('format requires a mapping');
      isMapped = true;
      const found = values.get(key);
      if (found === undefined) throw new TemplateRuntimeError(`KeyError: '${key}'`);
      value = found;
    }
    if (!isPercentType(value, type))
      throw new TemplateRuntimeError(`%${type} cannot write a value of type ${typeName(value)}`);
    const isNumber = 'diuoxXeEfFgG'.includes(type);
    const isPadded = isNumber && flags.includes('0') && !flags.includes('-');
    return written(
      value,
      {
        fill: isPadded ? '0' : ' ',
        align: flags.includes('-') ? '<' : isPadded ? '=' : '>',
        sign: flags.includes('+') ? '+' : flags.includes(' ') ? ' ' : '',
        isAlternate: flags.includes('#'),
        width: fieldWidth,
        grouping: '',
        precision: digits,
        type: type === 'i' || type === 'u' ? 'd' : type,
      },
      budget,
    );
  });
  // Python takes anything but texts and tuples that can be indexed for a mapping.
  const isMapping = values instanceof Dict || values instanceof List || values instanceof Range;
  const isUnused = taken < args.length && !isMapped && !isMapping;
  if (isUnused) throw new TemplateRuntimeError('not all arguments converted during string formatting');
  budget.payString(result.length);
  return result;
}

export interface FormatFields {
  readonly positional: readonly Value[];
  readonly named: (name: string) => Value | undefined;
  readonly attribute: (object: Value, name: string) => Value;
  readonly item: (object: Value, index: Value) => Value;
}

/** `text.format(…)`. */
export function formatBraces(text: string, fields: FormatFields, budget: Budget): string {
  let numAutomatic = 0;
  const replaceIn = (template: string, depth: number): string => {
    let result = '';
    let at = 0;
    while (at < template.length) {
      const character = template[at] as string;
      if (character !== '{' && character !== '}') {
        const end = /[{}]/g;
        end.lastIndex = at;
        const stop = end.exec(template)?.index ?? template.length;
        result += template.slice(at, stop);
        at = stop;
      } else if (template[at + 1] === character) {
        result += character;
        at += 2;
      } else {
        const end = character === '{' ? closingBrace(template, at) : -1;
        if (end < 0 || depth > 1)
          throw new TemplateRuntimeError(`Single '${character}' encountered in format string`);
        result += field(template.slice(at + 1, end), depth);
        at = end + 1;
      }
      budget.payString(result.length);
    }
    return result;
  };
  const field = (source: string, depth: number): string => {
    const [, path = '', conversion, spec = ''] = /^([^!:]*)(?:!([rsa]))?(?::([\s\S]*))?$/.exec(source) ?? [];
    const value = resolve(path);
    const style = replaceIn(spec, depth + 1);
    if (conversion === 'r') return applySpec(toRepr(value, budget), style, budget);
    if (conversion === 'a') return applySpec(toAscii(value, budget), style, budget);
    return applySpec(conversion === 's' ? toText(value, budget) : value, style, budget);
  };
  const resolve = (path: string): Value => {
    const [first = ''] = /^[^.[]*/.exec(path) ?? [];
    const position = first === '' ? numAutomatic++ : /^\d+$/.test(first) ? Number(first) : undefined;
    let value = position === undefined ? fields.named(first) : fields.positional[position];
    if (value === undefined) throw new TemplateRuntimeError(`no value for "${first}" of a format string`);
    for (const [, name, index = ''] of path.slice(first.length).matchAll(/\.([^.[]+)|\[([^\]]+)\]/g)) {
      if (name !== undefined) value = fields.attribute(value, name);
      else value = fields.item(value, /^\d+$/.test(index) ? BigInt(index) : index);
    }
    return value;
  };
  return replaceIn(text, 0);
}

function closingBrace(text: string, start: number): number {
  let depth = 0;
  for (let at = start; at < text.length; at++) {
    if (text[at] === '{') depth++;
    else if (text[at] === '}' && --depth === 0) return at;
  }
  return -1;
}

function applySpec(value: Value, spec: string, budget: Budget): string {
  if (spec === '') return toText(value, budget);
  const found = SPEC.exec(spec);
  if (found === null) throw new TemplateRuntimeError(`Invalid format specifier '${spec}'`);
  const [, fill, align, sign = '', alternate, zero, width, grouping = '', precision, type = ''] = found;
  const isNumber = typeof value === 'bigint' || typeof value === 'number' || typeof value === 'boolean';
  if (!isNumber && typeof value !== 'string')
    throw new TemplateRuntimeError(`unsupported format string passed to ${typeName(value)}.__format__`);
  const problem = forbidden(value, {
    align,
    sign,
    isAlternate: alternate === '#',
    grouping,
    precision,
    type,
  });
  if (problem !== undefined) throw new TemplateRuntimeError(problem);
  const isZero = zero === '0' && align === undefined;
  const style: Style = {
    fill: fill || (zero === '0' ? '0' : ' '),
    align: align ?? (isZero && isNumber ? '=' : isNumber ? '>' : '<'),
    sign,
    isAlternate: alternate === '#',
    width: Number(width || 0),
    grouping,
    precision: precision === undefined ? undefined : Number(precision),
    type: typeOf(value, type),
  };
  return written(value, style, budget);
}

/** The letter that a format goes by; `n` is by the locale, which is C's. */
function typeOf(value: string | bigint | number | boolean, type: string): string {
  if (type === 'n') return typeof value === 'number' ? 'g' : 'd';
  return type || (typeof value === 'string' ? 's' : typeof value === 'number' ? '' : 'd');
}

function written(value: Value, style: Style, budget: Budget): string {
  if ((style.precision ?? 0) > MAX_PRECISION && style.type !== 's')
    throw new TemplateRuntimeError('precision too big');
  const [sign, body] = signAndBody(value, style, budget);
  const padding = Math.max(0, style.width - codePoints(sign + body).length);
  budget.payString(padding + body.length);
  const fill = style.fill.repeat(padding);
  switch (style.align) {
    case '<':
      return sign + body + fill;
    case '=':
      return sign + fill + body;
    case '^':
      return style.fill.repeat(padding >> 1) + sign + body + style.fill.repeat(padding - (padding >> 1));
    default:
      return fill + sign + body;
  }
}

function signAndBody(value: Value, style: Style, budget: Budget): [string, string] {
  const { type, precision } = style;
  if (type === 's' || type === 'r' || type === 'a') {
    const write = { s: toText, r: toRepr, a: toAscii }[type];
    const text = write(value, budget);
    if (precision === undefined) return ['', text];
    const points = codePoints(text).slice(0, precision);
    return ['', typeof points === 'string' ? points : points.join('')];
  }
  if (type === 'c') return ['', typeof value === 'string' ? value : String.fromCodePoint(Number(value))];
  if (value instanceof Undefined) value.fail();
  if (typeof value !== 'bigint' && typeof value !== 'number' && typeof value !== 'boolean')
    throw new TemplateRuntimeError(`%${type} format: a real number is required, not ${typeName(value)}`);
  const isWhole = 'dxXob'.includes(type) && type !== '';
  const given = typeof value === 'boolean' ? BigInt(value) : value;
  // What is printed as a whole number has lost its fraction, and a zero its sign.
  const number = isWhole && typeof given === 'number' ? wholeNumber(given) : given;
  const isNegative = number < 0 || Object.is(number, -0);
  const sign = isNegative ? '-' : style.sign === '-' ? '' : style.sign;
  if (isWhole && typeof number === 'bigint') return [sign, wholeBody(number < 0n ? -number : number, style)];
  return [sign, floatBody(Math.abs(Number(number)), style)];
}

function wholeNumber(value: number): bigint {
  if (Number.isFinite(value)) return BigInt(Math.trunc(value));
  throw new TemplateRuntimeError(`cannot convert float ${floatText(value)} to integer`);
}

function wholeBody(value: bigint, { type, isAlternate, grouping, precision }: Style): string {
  if (type === 'd') return grouped(value.toString().padStart(precision ?? 0, '0'), grouping);
  const [radix, prefix] = type === 'o' ? [8, '0o'] : type === 'b' ? [2, '0b'] : [16, '0x'];
  const digits = (isAlternate ? prefix : '') + value.toString(radix);
  return type === 'X' ? digits.toUpperCase() : digits;
}

function floatBody(value: number, { type, precision, grouping }: Style): string {
  if (!Number.isFinite(value)) return floatText(value);
  const exponential = (text: string): string => text.replace(/e([+-])(\d)$/, 'e$10$2');
  const fixed = (text: string): string => {
    const [whole = '', fraction] = text.split('.');
    return grouped(whole, grouping) + (fraction === undefined ? '' : `.${fraction}`);
  };
  switch (type) {
    case 'f':
    case 'F':
      return fixed(toFixed(value, precision ?? 6));
    case '%':
      return `${fixed(toFixed(value * 100, precision ?? 6))}%`;
    case 'e':
    case 'E': {
      const text = exponential(value.toExponential(precision ?? 6));
      return type === 'E' ? text.toUpperCase() : text;
    }
    case 'g':
    case 'G':
    case '': {
      if (type === '' && precision === undefined) return fixed(floatText(value));
      const digits = Math.max(1, precision ?? 6);
      const power = Number(value.toExponential(digits - 1).split('e')[1]);
      const isFixed = power >= -4 && power < digits;
      const text = isFixed
        ? toFixed(value, digits - 1 - power)
        : exponential(value.toExponential(digits - 1));
      const short = text.includes('.') ? text.replace(/\.?0+(?=e|$)/, '') : text;
      return type === 'G' ? short.toUpperCase() : short;
    }
    default:
      throw new TemplateRuntimeError(`unsupported format character '${type}'`);
  }
}

/** JavaScript's `toFixed` rounds exactly, too, but half up where a number is exactly between two; Python to even. */
export function toFixed(value: number, digits: number): string {
  if (value >= 1e21) return BigInt(value).toString() + (digits > 0 ? `.${'0'.repeat(digits)}` : '');
  const text = value.toFixed(digits);
  const scaled = value * 10 ** digits;
  const isHalf =
    digits < 16 && scaled % 1 === 0.5 && scaled / 10 ** digits === value && isExactHalf(value, digits);
  return isHalf && Math.floor(scaled) % 2 === 0 ? (Math.floor(scaled) / 10 ** digits).toFixed(digits) : text;
}

/** Whether the value is exactly half-way: only where it is a multiple of a small power of two. */
function isExactHalf(value: number, digits: number): boolean {
  return Number.isInteger(value * 2 ** (digits + 1));
}

function grouped(digits: string, separator: string): string {
  return separator === '' ? digits : digits.replace(/\B(?=(\d{3})+$)/g, separator);
}
