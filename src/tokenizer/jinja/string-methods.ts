import { bind, requiredText, textArgument, wholeOf } from './arguments.js';
import type { Budget } from './budget.js';
import { encode, makeTable, translate } from './bytes.js';
import { iterate, textOf } from './iteration.js';
import { capitalize, caseFold, isLower, isTitle, isUpper, swapCase, title } from './letter-case.js';
import { DIGITS, NUMBERS } from './numerals.js';
import { type CallArguments, codePoints, List, TemplateRuntimeError, Tuple, type Value } from './values.js';
import { isSpace, SPACE, splitLines, trimEnd, trimStart } from './white-space.js';

type Method = (text: string, args: CallArguments, budget: Budget) => Value;

/** The methods of Python's `str` but `format`, by name. */
export const STRING_METHODS: ReadonlyMap<string, Method> = new Map<string, Method>([
  ['strip', (text, args, budget) => strip(text, 'strip', args, budget)],
  ['lstrip', (text, args, budget) => strip(text, 'lstrip', args, budget)],
  ['rstrip', (text, args, budget) => strip(text, 'rstrip', args, budget)],
  ['split', (text, args, budget) => new List(split(text, args, budget, false))],
  ['rsplit', (text, args, budget) => new List(split(text, args, budget, true))],
  ['splitlines', lines],
  ['partition', (text, args, budget) => partition(text, args, budget, false)],
  ['rpartition', (text, args, budget) => partition(text, args, budget, true)],
  ['replace', replace],
  ['join', join],
  ['startswith', (text, args, budget) => hasAffix(text, args, budget, 'startsWith')],
  ['endswith', (text, args, budget) => hasAffix(text, args, budget, 'endsWith')],
  ['removeprefix', removePrefix],
  ['removesuffix', removeSuffix],
  ['find', (text, args, budget) => BigInt(find(text, args, budget, false))],
  ['rfind', (text, args, budget) => BigInt(find(text, args, budget, true))],
  ['index', (text, args, budget) => found(find(text, args, budget, false))],
  ['rindex', (text, args, budget) => found(find(text, args, budget, true))],
  ['count', count],
  ['lower', plain((text) => text.toLowerCase())],
  ['casefold', plain(caseFold)],
  ['upper', plain((text) => text.toUpperCase())],
  ['capitalize', plain(capitalize)],
  ['title', plain(title)],
  ['swapcase', plain(swapCase)],
  ['zfill', (text, args, budget) => zeroFill(text, wholeOf(bind('zfill', args, 'width').width, 0), budget)],
  ['ljust', (text, args, budget) => justify(text, args, budget, 'ljust')],
  ['rjust', (text, args, budget) => justify(text, args, budget, 'rjust')],
  ['center', (text, args, budget) => justify(text, args, budget, 'center')],
  ['expandtabs', expandTabs],
  ['encode', encode],
  ['translate', translate],
  ['maketrans', makeTable],
  ['isdigit', all(DIGITS)],
  ['isdecimal', all(/^\p{Nd}+$/u)],
  ['isnumeric', all(NUMBERS)],
  ['isalpha', all(/^\p{L}+$/u)],
  ['isalnum', all(/^[\p{L}\p{N}]+$/u)],
  ['isascii', (text) => /^\p{ASCII}*$/u.test(text)],
  ['isspace', (text) => isSpace(text)],
  ['isidentifier', all(/^[\p{XID_Start}_]\p{XID_Continue}*$/u)],
  ['islower', isLower],
  ['isupper', isUpper],
  ['istitle', isTitle],
  ['isprintable', (text) => !/(?! )[\p{C}\p{Z}]/u.test(text)],
]);

function plain(change: (text: string) => string): Method {
  return (text, _args, budget) => {
    budget.payString(text.length);
    return change(text);
  };
}

function all(pattern: RegExp): Method {
  return (text) => pattern.test(text);
}

type Side = 'strip' | 'lstrip' | 'rstrip';

function strip(text: string, side: Side, args: CallArguments, budget: Budget): string {
  return stripText(text, side, textArgument(bind(side, args, 'chars?').chars, budget), budget);
}

/** Without the given characters, or white space, at the ends. */
export function stripText(text: string, side: Side, characters: string | undefined, budget: Budget): string {
  budget.payString(text.length);
  if (characters === undefined) {
    const start = side === 'rstrip' ? text : trimStart(text);
    return side === 'lstrip' ? start : trimEnd(start);
  }
  const set = new Set(characters);
  const points = codePoints(text);
  let [start, end] = [0, points.length];
  if (side !== 'rstrip') while (start < end && set.has(points[start] as string)) start++;
  if (side !== 'lstrip') while (end > start && set.has(points[end - 1] as string)) end--;
  return joined(points.slice(start, end));
}

function joined(points: string | readonly string[]): string {
  return typeof points === 'string' ? points : points.join('');
}

function split(text: string, args: CallArguments, budget: Budget, isFromRight: boolean): string[] {
  const { sep, maxsplit } = bind(isFromRight ? 'rsplit' : 'split', args, 'sep?', 'maxsplit?');
  const separator = textArgument(sep, budget);
  const limit = wholeOf(maxsplit, -1);
  if (separator === '') throw new TemplateRuntimeError('empty separator');
  budget.payString(text.length);
  budget.payItems(1 + countOf(text, separator));
  const parts = separator === undefined ? words(text) : text.split(separator);
  if (limit < 0 || parts.length <= limit) return parts;
  if (separator !== undefined) {
    if (parts.length === limit + 1) return parts;
    return isFromRight
      ? [parts.slice(0, parts.length - limit).join(separator), ...parts.slice(parts.length - limit)]
      : [...parts.slice(0, limit), parts.slice(limit).join(separator)];
  }
  return isFromRight ? splitWordsFromRight(text, parts, limit) : splitWords(text, parts, limit);
}

function words(text: string): string[] {
  return text.split(new RegExp(`${SPACE}+`)).filter((word) => word !== '');
}

/** What is not split keeps the white space inside it. */
function splitWords(text: string, parts: readonly string[], limit: number): string[] {
  let rest = trimStart(text);
  for (const word of parts.slice(0, limit)) rest = trimStart(rest.slice(word.length));
  return [...parts.slice(0, limit), rest];
}

function splitWordsFromRight(text: string, parts: readonly string[], limit: number): string[] {
  const last = parts.slice(parts.length - limit);
  let rest = trimEnd(text);
  for (const word of [...last].reverse()) rest = trimEnd(rest.slice(0, rest.length - word.length));
  return [rest, ...last];
}

/** How many cuts there are; bounds the list before it is made. */
function countOf(text: string, separator: string | undefined): number {
  if (separator === undefined) return text.length / 2;
  let number = 0;
  for (let at = text.indexOf(separator); at >= 0; at = text.indexOf(separator, at + separator.length))
    number++;
  return number;
}

function lines(text: string, args: CallArguments, budget: Budget): Value {
  const { keepends = false } = bind('splitlines', args, 'keepends?');
  budget.payString(text.length);
  const found = splitLines(text, wholeOf(keepends, 0) !== 0);
  budget.payItems(found.length);
  return new List(found);
}

function partition(text: string, args: CallArguments, budget: Budget, isFromRight: boolean): Value {
  const separator = requiredText(bind('partition', args, 'sep').sep, budget);
  if (separator === '') throw new TemplateRuntimeError('empty separator');
  budget.payString(text.length);
  const at = isFromRight ? text.lastIndexOf(separator) : text.indexOf(separator);
  if (at < 0) return new Tuple(isFromRight ? ['', '', text] : [text, '', '']);
  return new Tuple([text.slice(0, at), separator, text.slice(at + separator.length)]);
}

function replace(text: string, args: CallArguments, budget: Budget): Value {
  const { old, new: by, count: limit } = bind('replace', args, 'old', 'new', 'count?');
  return replaceText(text, requiredText(old, budget), requiredText(by, budget), wholeOf(limit, -1), budget);
}

export function replaceText(text: string, old: string, by: string, limit: number, budget: Budget): string {
  const points = old === '' ? Array.from(text) : [];
  const number = old === '' ? points.length + 1 : countOf(text, old);
  const times = limit < 0 ? number : Math.min(limit, number);
  budget.payString(text.length + times * Math.max(0, by.length - old.length));
  if (old === '') {
    const filled = points.map((point, index) => (index < times ? by + point : point)).join('');
    return times > points.length ? filled + by : filled;
  }
  if (times === number) return text.replaceAll(old, () => by);
  const parts = text.split(old);
  return [parts.slice(0, times + 1).join(by), ...parts.slice(times + 1)].join(old);
}

function join(separator: string, args: CallArguments, budget: Budget): Value {
  const items = iterate(bind('join', args, 'iterable').iterable ?? null, budget);
  const texts = items.map((item, index) => {
    const text = textOf(item);
    if (text === undefined) throw new TemplateRuntimeError(`sequence item ${index}: expected str instance`);
    return text;
  });
  budget.payString(texts.reduce((sum, { length }) => sum + length + separator.length, 0));
  return texts.join(separator);
}

function hasAffix(
  text: string,
  args: CallArguments,
  budget: Budget,
  test: 'startsWith' | 'endsWith',
): boolean {
  const { affix, start, end } = bind(test.toLowerCase(), args, 'affix', 'start?', 'end?');
  const part = start === undefined && end === undefined ? text : window(text, start, end)?.[0];
  const affixes = affix instanceof Tuple ? affix.items : [affix];
  return affixes.some((one) => {
    const wanted = requiredText(one, budget);
    return part?.[test](wanted) === true;
  });
}

function removePrefix(text: string, args: CallArguments, budget: Budget): Value {
  const prefix = requiredText(bind('removeprefix', args, 'prefix').prefix, budget);
  return text.startsWith(prefix) ? text.slice(prefix.length) : text;
}

function removeSuffix(text: string, args: CallArguments, budget: Budget): Value {
  const suffix = requiredText(bind('removesuffix', args, 'suffix').suffix, budget);
  return suffix !== '' && text.endsWith(suffix) ? text.slice(0, -suffix.length) : text;
}

/** The part of a text between two places, counted in code points, and where it begins; undefined where none is. */
function window(
  text: string,
  start: Value | undefined,
  end: Value | undefined,
): [string, number] | undefined {
  const points = codePoints(text);
  const place = (value: Value | undefined, fallback: number): number => {
    const isLarge = typeof value === 'bigint';
    const at = value === null ? fallback : isLarge ? Number(value) : wholeOf(value, fallback);
    return Math.max(at < 0 ? at + points.length : at, 0);
  };
  const [first, last] = [place(start, 0), Math.min(place(end, points.length), points.length)];
  return first > last ? undefined : [joined(points.slice(first, last)), first];
}

/** Where a part is found, in code points; -1 where it is not. */
function find(text: string, args: CallArguments, budget: Budget, isLast: boolean): number {
  const { sub, start, end } = bind('find', args, 'sub', 'start?', 'end?');
  const wanted = requiredText(sub, budget);
  const [part, first] = window(text, start, end) ?? [undefined, 0];
  const at = isLast ? part?.lastIndexOf(wanted) : part?.indexOf(wanted);
  return part === undefined || at === undefined || at < 0 ? -1 : first + codePoints(part.slice(0, at)).length;
}

function found(at: number): bigint {
  if (at < 0) throw new TemplateRuntimeError('substring not found');
  return BigInt(at);
}

function count(text: string, args: CallArguments, budget: Budget): Value {
  const { sub, start, end } = bind('count', args, 'sub', 'start?', 'end?');
  const wanted = requiredText(sub, budget);
  const [part] = window(text, start, end) ?? [];
  if (part === undefined) return 0n;
  return BigInt(wanted === '' ? codePoints(part).length + 1 : countOf(part, wanted));
}

function zeroFill(text: string, width: number, budget: Budget): string {
  const missing = Math.max(0, width - codePoints(text).length);
  budget.payString(text.length + missing);
  const [sign = ''] = /^[-+]/.exec(text) ?? [];
  return sign + '0'.repeat(missing) + text.slice(sign.length);
}

function justify(
  text: string,
  args: CallArguments,
  budget: Budget,
  side: 'ljust' | 'rjust' | 'center',
): string {
  const { width, fillchar } = bind(side, args, 'width', 'fillchar?');
  const fill = fillchar === undefined ? ' ' : requiredText(fillchar, budget);
  if (codePoints(fill).length !== 1)
    throw new TemplateRuntimeError('The fill character must be exactly one character long');
  return pad(text, wholeOf(width, 0), fill, side, budget);
}

export function pad(
  text: string,
  width: number,
  fill: string,
  side: 'ljust' | 'rjust' | 'center',
  budget: Budget,
): string {
  const missing = Math.max(0, width - codePoints(text).length);
  budget.payString(text.length + missing);
  // Of an odd number, Python puts the greater half to the right, unless the width is odd.
  const before = side === 'rjust' ? missing : side === 'ljust' ? 0 : (missing >> 1) + (missing & width & 1);
  return fill.repeat(before) + text + fill.repeat(missing - before);
}

function expandTabs(text: string, args: CallArguments, budget: Budget): Value {
  const size = Math.max(0, wholeOf(bind('expandtabs', args, 'tabsize?').tabsize, 8));
  budget.payString(text.length + countOf(text, '\t') * size);
  let column = 0;
  return Array.from(text, (one) => {
    if (one === '\t') {
      const width = size === 0 ? 0 : size - (column % size);
      column += width;
      return ' '.repeat(width);
    }
    column = one === '\n' || one === '\r' ? 0 : column + 1;
    return one;
  }).join('');
}
