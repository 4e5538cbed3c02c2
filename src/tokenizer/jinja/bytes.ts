import { bind, requiredText, textArgument } from './arguments.js';
import type { Budget } from './budget.js';
import { textOf } from './iteration.js';
import {
  Bytes,
  type CallArguments,
  codePoints,
  Dict,
  List,
  TemplateRuntimeError,
  Tuple,
  typeName,
  type Value,
} from './values.js';

/** How many bytes one code unit has, and whether the greater half comes first. */
interface Units {
  readonly size: 2 | 4;
  readonly isBig: boolean;
  /** Whether a mark of the order stands first. */
  readonly isMarked: boolean;
}

const UNITS: Readonly<Record<string, Units>> = {
  utf16: { size: 2, isBig: false, isMarked: true },
  utf16le: { size: 2, isBig: false, isMarked: false },
  utf16be: { size: 2, isBig: true, isMarked: false },
  utf32: { size: 4, isBig: false, isMarked: true },
  utf32le: { size: 4, isBig: false, isMarked: false },
  utf32be: { size: 4, isBig: true, isMarked: false },
};
/** Encodings of one byte a character, by the first character that they lack. */
const SINGLE_BYTES: Readonly<Record<string, number>> = {
  ascii: 0x80,
  usascii: 0x80,
  latin1: 0x100,
  iso88591: 0x100,
};
const BYTE_ORDER_MARK = 0xfeff;
const REPLACEMENT = 0xfffd;

/** `text.encode(encoding, errors)`. */
export function encode(text: string, args: CallArguments, budget: Budget): Value {
  const [name, errors] = encodingOf('encode', args, budget);
  budget.payString(4 * text.length);
  const limit = SINGLE_BYTES[name];
  if (limit !== undefined) {
    const bytes = Array.from(text).flatMap((point) => {
      const code = point.codePointAt(0) ?? 0;
      if (code < limit) return [code];
      return Array.from(instead(code, errors), (unit) => unit.charCodeAt(0));
    });
    return new Bytes(Uint8Array.from(bytes));
  }
  if (/\p{Cs}/u.test(text)) throw new TemplateRuntimeError('surrogates not allowed');
  if (name === 'utf8') return new Bytes(new TextEncoder().encode(text));
  const units = UNITS[name];
  if (units === undefined) throw new TemplateRuntimeError(`unknown encoding: ${name}`);
  const codes = (units.size === 2 ? text.split('') : Array.from(text)).map((one) =>
    units.size === 2 ? one.charCodeAt(0) : (one.codePointAt(0) ?? 0),
  );
  if (units.isMarked) codes.unshift(BYTE_ORDER_MARK);
  const data = new DataView(new ArrayBuffer(codes.length * units.size));
  for (const [at, code] of codes.entries()) {
    if (units.size === 2) data.setUint16(at * 2, code, !units.isBig);
    else data.setUint32(at * 4, code, !units.isBig);
  }
  return new Bytes(new Uint8Array(data.buffer));
}

/** What stands for a character that an encoding lacks. */
function instead(code: number, errors: string): string {
  const hex = (length: number): string => code.toString(16).padStart(length, '0');
  switch (errors) {
    case 'ignore':
      return '';
    case 'replace':
      return '?';
    case 'xmlcharrefreplace':
      return `&#${code};`;
    case 'backslashreplace':
      return code < 0x100 ? `\\x${hex(2)}` : code < 0x10000 ? `\\u${hex(4)}` : `\\U${hex(8)}`;
    default:
      throw new TemplateRuntimeError(`U+${hex(4)} cannot be encoded`);
  }
}

/** `bytes.decode(encoding, errors)`. */
export function decode({ data }: Bytes, args: CallArguments, budget: Budget): Value {
  const [name, errors] = encodingOf('decode', args, budget);
  budget.payString(data.length);
  const limit = SINGLE_BYTES[name];
  const isStrict = errors === 'strict';
  if (limit !== undefined) {
    return Array.from(data, (byte) => {
      if (byte < limit) return String.fromCharCode(byte);
      if (isStrict) throw new TemplateRuntimeError(`byte ${byte} cannot be decoded`);
      return errors === 'replace' ? String.fromCharCode(REPLACEMENT) : '';
    }).join('');
  }
  if (name !== 'utf8' && name !== 'utf16' && name !== 'utf16le' && name !== 'utf16be')
    throw new TemplateRuntimeError(`unknown encoding: ${name}`);
  const label = name === 'utf8' ? 'utf-8' : name === 'utf16be' ? 'utf-16be' : 'utf-16le';
  try {
    const text = new TextDecoder(label, { fatal: isStrict, ignoreBOM: name !== 'utf16' }).decode(data);
    return errors === 'ignore' ? text.replaceAll(String.fromCharCode(REPLACEMENT), '') : text;
  } catch (error) {
    throw new TemplateRuntimeError(`bytes that are no ${name}`, { cause: error });
  }
}

/** The encoding's name without case and punctuation, and what is to happen to what it lacks. */
function encodingOf(callee: string, args: CallArguments, budget: Budget): [string, string] {
  const given = bind(callee, args, 'encoding?', 'errors?');
  const name = given.encoding === undefined ? 'utf-8' : requiredText(given.encoding, budget);
  const errors = given.errors === undefined ? 'strict' : requiredText(given.errors, budget);
  return [name.toLowerCase().replace(/[-_ ]/g, ''), errors];
}

/** `text.translate(table)`: each character by its code, to a code, a text, or None for nothing. */
export function translate(text: string, args: CallArguments, budget: Budget): Value {
  const { table = null } = bind('translate', args, 'table');
  const texts = textOf(table);
  const isRow = table instanceof List || table instanceof Tuple;
  const row: ArrayLike<Value> | undefined = isRow
    ? table.items
    : texts === undefined
      ? undefined
      : codePoints(texts);
  if (row === undefined && !(table instanceof Dict))
    throw new TemplateRuntimeError(`'${typeName(table)}' object is not subscriptable`);
  const pieces = Array.from(text, (point) => {
    const code = BigInt(point.codePointAt(0) ?? 0);
    const found = table instanceof Dict ? table.get(code) : row?.[Number(code)];
    if (found === undefined) return point;
    if (found === null) return '';
    if (typeof found === 'bigint' && found >= 0n && found <= 0x10ffffn)
      return String.fromCodePoint(Number(found));
    const by = textOf(found);
    if (by === undefined)
      throw new TemplateRuntimeError('character mapping must return integer, None or str');
    budget.payString(by.length);
    return by;
  });
  budget.payString(pieces.reduce((sum, { length }) => sum + length, 0));
  return pieces.join('');
}

/** `str.maketrans`: a table for `translate`, of a mapping, or of texts whose characters stand for one another. */
export function makeTable(_text: string, args: CallArguments, budget: Budget): Value {
  const { x = null, y, z } = bind('maketrans', args, 'x', 'y?', 'z?');
  const codeOf = (point: string): bigint => BigInt(point.codePointAt(0) ?? 0);
  if (y === undefined) {
    if (!(x instanceof Dict)) throw new TemplateRuntimeError('maketrans takes a mapping, or texts');
    return new Dict(
      x.entries().map(([key, value]) => {
        const text = textOf(key);
        if (text === undefined) return [key, value] as const;
        if (Array.from(text).length !== 1)
          throw new TemplateRuntimeError('string keys in translate table must be of length 1');
        return [codeOf(text), value] as const;
      }),
    );
  }
  const [from, to] = [Array.from(requiredText(x, budget)), Array.from(requiredText(y, budget))];
  if (from.length !== to.length)
    throw new TemplateRuntimeError('the first two maketrans arguments must have equal length');
  const dropped = Array.from(textArgument(z, budget) ?? '');
  return new Dict([
    ...from.map((point, at) => [codeOf(point), codeOf(to[at] as string)] as const),
    ...dropped.map((point) => [codeOf(point), null] as const),
  ]);
}
