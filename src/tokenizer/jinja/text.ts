import type { Budget } from './budget.js';
import { order } from './comparison.js';
import {
  Bytes,
  Callable,
  Dict,
  DictView,
  Generator,
  List,
  Loop,
  Markup,
  Namespace,
  Parts,
  PartsPrinted,
  Range,
  TemplateRuntimeError,
  Tuple,
  typeName,
  Undefined,
  type Value,
} from './values.js';

/** Python's `str()`. */
export function toText(value: Value, budget: Budget): string {
  if (typeof value === 'string') return value;
  if (value instanceof Markup) return value.text;
  if (value instanceof Undefined) return '';
  if (value instanceof Parts) throw new PartsPrinted();
  return scalarText(value) ?? write(budget, (writer) => writeRepr(value, writer));
}

/** Python's `ascii()`: `repr()` with all but ASCII escaped. */
export function toAscii(value: Value, budget: Budget): string {
  const text = toRepr(value, budget).replace(/\P{ASCII}/gu, escaped);
  budget.payString(text.length);
  return text;
}

/** Python's `repr()`. */
export function toRepr(value: Value, budget: Budget): string {
  return write(budget, (writer) => writeRepr(value, writer));
}

/** What `str()` and `repr()` both give for a number, a truth value or nothing. */
function scalarText(value: Value): string | undefined {
  if (value === null) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'number') return floatText(value);
  return undefined;
}

/** A float as Python writes it: 1.0, 1e-05, 1e+16, inf. */
export function floatText(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  if (value === 0) return Object.is(value, -0) ? '-0.0' : '0.0';
  const [digits = '', exponent = '0'] = value.toExponential().split('e');
  const power = Number(exponent);
  if (power < -4 || power >= 16) {
    const size = String(Math.abs(power)).padStart(2, '0');
    return `${digits}e${power < 0 ? '-' : '+'}${size}`;
  }
  const text = String(value).includes('e') ? value.toFixed(20).replace(/0+$/, '') : String(value);
  return text.includes('.') ? text : `${text}.0`;
}

/** Pieces of a text that pays for itself as it grows. */
export class Writer {
  readonly #pieces: string[] = [];

  constructor(readonly budget: Budget) {}

  push(piece: string): void {
    this.budget.payString(piece.length);
    this.#pieces.push(piece);
  }

  /** Each of the items, with a separator between them. */
  list<T>(items: readonly T[], separator: string, write: (item: T) => void): void {
    items.forEach((item, index) => {
      if (index > 0) this.push(separator);
      write(item);
    });
  }

  toString(): string {
    this.budget.payString(this.#pieces.reduce((sum, { length }) => sum + length, 0));
    return this.#pieces.join('');
  }
}

export function write(budget: Budget, fill: (writer: Writer) => void): string {
  const writer = new Writer(budget);
  fill(writer);
  return writer.toString();
}

function writeRepr(value: Value, writer: Writer): void {
  writer.budget.spend(1);
  const scalar = scalarText(value);
  if (scalar !== undefined) writer.push(scalar);
  else if (typeof value === 'string') writer.push(reprOfText(value));
  else if (value instanceof Bytes) writer.push(reprOfBytes(value));
  else writer.budget.nested(() => writeContainer(value, writer));
}

function writeContainer(value: Value, writer: Writer): void {
  const list = (open: string, items: readonly Value[], close: string): void => {
    writer.push(open);
    writer.list(items, ', ', (item) => writeRepr(item, writer));
    writer.push(close);
  };
  if (value instanceof List) list('[', value.items, ']');
  else if (value instanceof Tuple) list('(', value.items, value.items.length === 1 ? ',)' : ')');
  else if (value instanceof Dict) writeDict(value.entries(), writer);
  else if (value instanceof DictView) list(`dict_${value.kind}([`, value.items(), '])');
  else if (value instanceof Range) {
    const step = value.step === 1n ? '' : `, ${value.step}`;
    writer.push(`range(${value.start}, ${value.stop}${step})`);
  } else if (value instanceof Namespace) {
    writer.push('<Namespace ');
    writeDict([...value.attributes], writer);
    writer.push('>');
  } else if (value instanceof Markup) writer.push(`Markup(${reprOfText(value.text)})`);
  else if (value instanceof Loop) writer.push(`<LoopContext ${value.index0 + 1}/${value.items.length}>`);
  else if (value instanceof Generator) writer.push(`<${value.name} object>`);
  else if (value instanceof Callable) writer.push(reprOfCallable(value));
  else writer.push('Undefined');
}

function reprOfCallable({ name, attributes }: Callable): string {
  if (!attributes.has('catch_kwargs')) return `<built-in method ${name}>`;
  return name === 'caller' ? '<Macro anonymous>' : `<Macro ${reprOfText(name)}>`;
}

function writeDict(entries: readonly (readonly [Value, Value])[], writer: Writer): void {
  writer.push('{');
  writer.list(entries, ', ', ([key, item]) => {
    writeRepr(key, writer);
    writer.push(': ');
    writeRepr(item, writer);
  });
  writer.push('}');
}

const SHORT_ESCAPES: Readonly<Record<string, string>> = {
  '\\': '\\\\',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
};

/** A string literal that Python would read back. */
function reprOfText(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  // All that Python holds unprintable: controls, surrogates, unassigned characters, and every blank but the usual one.
  const body = text.replace(/[\\'"\p{C}\p{Z}]/gu, (character) => {
    if (character === ' ' || character === '"' || character === "'")
      return character === quote ? `\\${quote}` : character;
    const short = SHORT_ESCAPES[character];
    if (short !== undefined) return short;
    return escaped(character);
  });
  return quote + body + quote;
}

function escaped(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  const [letter, digits] = code < 0x100 ? ['x', 2] : code < 0x10000 ? ['u', 4] : ['U', 8];
  return `\\${letter}${code.toString(16).padStart(digits as number, '0')}`;
}

/** Python's literal of bytes. */
function reprOfBytes({ data }: Bytes): string {
  const text = Array.from(data, (byte) => {
    const found = { 9: '\\t', 10: '\\n', 13: '\\r', 92: '\\\\' }[byte];
    if (found !== undefined) return found;
    return byte >= 0x20 && byte < 0x7f
      ? String.fromCharCode(byte)
      : `\\x${byte.toString(16).padStart(2, '0')}`;
  }).join('');
  if (text.includes("'") && !text.includes('"')) return `b"${text}"`;
  return `b'${text.replaceAll("'", "\\'")}'`;
}

export interface JsonStyle {
  readonly isAscii: boolean;
  /** Put before each item, once per level; undefined: all in one line. */
  readonly indent: string | undefined;
  readonly itemSeparator: string;
  readonly keySeparator: string;
  readonly sortsKeys: boolean;
}

/** Python's `json.dumps`. @throws TemplateRuntimeError for what JSON cannot hold */
export function toJson(value: Value, style: JsonStyle, budget: Budget): string {
  return write(budget, (writer) => writeJson(value, style, '\n', writer));
}

function writeJson(value: Value, style: JsonStyle, newline: string, writer: Writer): void {
  const { budget } = writer;
  budget.spend(1);
  const scalar = jsonScalar(value, style.isAscii);
  if (scalar === undefined) budget.nested(() => writeJsonContainer(value, style, newline, writer));
  else writer.push(scalar);
}

function jsonScalar(value: Value, isAscii: boolean): string | undefined {
  if (value instanceof Markup) return jsonText(value.text, isAscii);
  if (typeof value === 'string') return jsonText(value, isAscii);
  if (value === null) return 'null';
  if (typeof value === 'number') return jsonFloat(value);
  return typeof value === 'boolean' || typeof value === 'bigint' ? String(value) : undefined;
}

function writeJsonContainer(value: Value, style: JsonStyle, newline: string, writer: Writer): void {
  const inner = style.indent === undefined ? '' : newline + style.indent;
  const outer = style.indent === undefined ? '' : newline;
  const between = style.itemSeparator + inner;
  if (value instanceof List || value instanceof Tuple) {
    writer.push(value.items.length === 0 ? '[' : `[${inner}`);
    writer.list(value.items, between, (item) => writeJson(item, style, inner, writer));
    writer.push(value.items.length === 0 ? ']' : `${outer}]`);
    return;
  }
  if (!(value instanceof Dict))
    throw new TemplateRuntimeError(`Object of type ${typeName(value)} is not JSON serializable`);
  writer.push(value.size === 0 ? '{' : `{${inner}`);
  writer.list(jsonEntries(value, style.sortsKeys, writer.budget), between, ([key, item]) => {
    writer.push(jsonText(key, style.isAscii) + style.keySeparator);
    writeJson(item, style, inner, writer);
  });
  writer.push(value.size === 0 ? '}' : `${outer}}`);
}

function jsonEntries(dict: Dict, sortsKeys: boolean, budget: Budget): (readonly [string, Value])[] {
  const entries = dict.entries();
  // As keys, before they are texts: 2 comes before 10.
  if (sortsKeys) entries.sort(([left], [right]) => order(left, right, budget));
  return entries.map(([key, item]) => [jsonKey(key), item] as const);
}

function jsonKey(key: Value): string {
  if (typeof key === 'string') return key;
  if (key === null) return 'null';
  if (typeof key === 'number') return jsonFloat(key);
  if (typeof key === 'boolean' || typeof key === 'bigint') return String(key);
  throw new TemplateRuntimeError(`keys must be str, int, float, bool or None, not ${typeName(key)}`);
}

function jsonFloat(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? 'Infinity' : '-Infinity';
  return floatText(value);
}

const JSON_ESCAPES: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\b': '\\b',
  '\f': '\\f',
};

const NOT_ASCII = /["\\]|[^ -~]/g;
const CONTROL = '[\\x00-\\x1f]';
const NOT_PLAIN = new RegExp(`["\\\\]|${CONTROL}`, 'g');

function jsonText(text: string, isAscii: boolean): string {
  const pattern = isAscii ? NOT_ASCII : NOT_PLAIN;
  const escaped = text.replace(
    pattern,
    (unit) => JSON_ESCAPES[unit] ?? `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return `"${escaped}"`;
}
