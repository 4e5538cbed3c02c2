import { bind, textArgument, wholeOf } from './arguments.js';
import { onlyAttribute } from './attributes.js';
import type { Filter } from './filter.js';
import { formatPercent } from './format.js';
import { isTrue, itemsOf, iterate, lengthOf, textOf } from './iteration.js';
import { capitalize } from './letter-case.js';
import { escapeHtml } from './operators.js';
import { pad, replaceText, stripText } from './string-methods.js';
import { type JsonStyle, toJson, toText } from './text.js';
import {
  codePoints,
  Dict,
  DictView,
  List,
  Markup,
  TemplateRuntimeError,
  Tuple,
  typeName,
  Undefined,
  type Value,
} from './values.js';
import { LINE_END, SPACE, trimEnd, trimStart } from './white-space.js';

/** Between blanks, hyphens and opening brackets. */
const TITLE_WORD = new RegExp(`(?:(?!${SPACE})[^-({[<])+`, 'gu');

function withCapital(word: string): string {
  const [first = '', ...rest] = Array.from(word);
  return first.toUpperCase() + rest.join('').toLowerCase();
}

/** A filter that changes one text. */
function text(change: (text: string) => string): Filter {
  return (operand, _args, { budget }) => {
    const found = toText(operand, budget);
    budget.payString(found.length);
    return change(found);
  };
}

const defaultOf: Filter = (operand, args) => {
  const { default_value: value = '', boolean = false } = bind('default', args, 'default_value?', 'boolean?');
  return operand instanceof Undefined || (isTrue(boolean) && !isTrue(operand)) ? value : operand;
};

const escapeFilter: Filter = (operand, _args, { budget }) =>
  operand instanceof Markup ? operand : new Markup(escapeHtml(toText(operand, budget)));

const indent: Filter = (operand, args, { budget }) => {
  const { width = 4n, first = false, blank = false } = bind('indent', args, 'width?', 'first?', 'blank?');
  const found = textOf(operand);
  if (found === undefined) {
    if (operand instanceof Undefined) operand.fail();
    throw new TemplateRuntimeError(`unsupported operand type(s) for +=: '${typeName(operand)}' and 'str'`);
  }
  const size = typeof width === 'string' ? width.length : Math.max(0, wholeOf(width, 4));
  const lines = found.split(LINE_END);
  budget.payItems(lines.length);
  budget.payString(size);
  budget.payString(found.length + lines.length * size);
  const indention = typeof width === 'string' ? width : ' '.repeat(size);
  const indented = lines.map((line, index) =>
    index > 0 && (isTrue(blank) || line) ? indention + line : line,
  );
  return (isTrue(first) ? indention : '') + indented.join('\n');
};

const tojson: Filter = (operand, args, { budget }) => {
  const given = bind('tojson', args, 'ensure_ascii?', 'indent?', 'separators?', 'sort_keys?');
  const { indent: width = null, separators = null } = given;
  let unit: string | undefined;
  if (typeof width === 'string') unit = width;
  else if (width !== null) {
    const size = Math.max(0, wholeOf(width, 0));
    budget.payString(size);
    unit = ' '.repeat(size);
  }
  const isPair = separators instanceof Tuple || separators instanceof List;
  const [item, key] = isPair ? separators.items.map((one) => textArgument(one, budget)) : [];
  const style: JsonStyle = {
    isAscii: isTrue(given.ensure_ascii ?? false),
    indent: unit,
    itemSeparator: item ?? (unit === undefined ? ', ' : ','),
    keySeparator: key ?? ': ',
    sortsKeys: isTrue(given.sort_keys ?? false),
  };
  return toJson(operand, style, budget);
};

const truncate: Filter = (operand, args, { budget }) => {
  const given = bind('truncate', args, 'length?', 'killwords?', 'end?', 'leeway?');
  const end = textArgument(given.end, budget) ?? '...';
  const length = wholeOf(given.length, 255);
  const size = lengthOf(operand);
  if (size === undefined)
    throw new TemplateRuntimeError(`object of type '${typeName(operand)}' has no len()`);
  const whole = textOf(operand);
  if (whole === undefined) {
    if (size <= length + wholeOf(given.leeway, 5)) return operand;
    throw new TemplateRuntimeError(`a ${typeName(operand)} cannot be truncated`);
  }
  const points = Array.from(whole);
  budget.payItems(points.length);
  if (points.length <= length + wholeOf(given.leeway, 5)) return whole;
  const cut = points.slice(0, Math.max(0, length - Array.from(end).length)).join('');
  const lastBlank = cut.lastIndexOf(' ');
  return (isTrue(given.killwords ?? false) || lastBlank < 0 ? cut : cut.slice(0, lastBlank)) + end;
};

/** A text's whole number; undefined where it has none. Python takes blanks around it and "_" between digits. */
function parseWhole(found: string, base: number): bigint | undefined {
  const digits = trimEnd(trimStart(found)).toLowerCase();
  const [, sign = '', prefix, body = ''] = /^([-+]?)(0[xob])?([\da-z]+(?:_[\da-z]+)*)$/.exec(digits) ?? [];
  const radix = prefix === undefined ? base : { '0x': 16, '0o': 8, '0b': 2 }[prefix];
  if (body === '' || radix === undefined || (prefix !== undefined && radix !== base)) return undefined;
  let value = 0n;
  for (const digit of body.replaceAll('_', '')) {
    const one = Number.parseInt(digit, radix);
    if (Number.isNaN(one)) return undefined;
    value = value * BigInt(radix) + BigInt(one);
  }
  return sign === '-' ? -value : value;
}

function parseFloatText(found: string): number | undefined {
  const digits = trimEnd(trimStart(found)).toLowerCase();
  const special = /^([-+]?)(inf|infinity|nan)$/.exec(digits);
  if (special) return special[2] === 'nan' ? Number.NaN : special[1] === '-' ? -Infinity : Infinity;
  return /^[-+]?(\d+(_\d+)*\.?(\d+(_\d+)*)?|\.\d+(_\d+)*)(e[-+]?\d+)?$/.test(digits)
    ? Number(digits.replaceAll('_', ''))
    : undefined;
}

function truncated(value: number): bigint | undefined {
  return Number.isFinite(value) ? BigInt(Math.trunc(value)) : undefined;
}

const toInt: Filter = (operand, args) => {
  const { default: fallback = 0n, base } = bind('int', args, 'default?', 'base?');
  if (operand instanceof Undefined) return operand.fail();
  if (typeof operand === 'bigint') return operand;
  if (typeof operand === 'boolean') return BigInt(operand);
  if (typeof operand === 'number') return truncated(operand) ?? fallback;
  const found = textOf(operand);
  if (found === undefined || found.length > 4300) return fallback;
  const float = parseFloatText(found);
  return (
    parseWhole(found, wholeOf(base, 10)) ?? (float === undefined ? undefined : truncated(float)) ?? fallback
  );
};

const toFloat: Filter = (operand, args) => {
  const { default: fallback = 0 } = bind('float', args, 'default?');
  if (operand instanceof Undefined) return operand.fail();
  if (typeof operand === 'bigint' || typeof operand === 'boolean') return Number(operand);
  if (typeof operand === 'number') return operand;
  const found = textOf(operand);
  return (found === undefined ? undefined : parseFloatText(found)) ?? fallback;
};

function urlQuote(found: string, isQuery: boolean): string {
  const quoted = encodeURIComponent(found).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return isQuery ? quoted.replaceAll('%20', '+') : quoted.replaceAll('%2F', '/');
}

const urlencode: Filter = (operand, _args, { budget }) => {
  const text = textOf(operand);
  const pairs =
    text !== undefined
      ? undefined
      : operand instanceof Dict
        ? new DictView('items', operand).items()
        : itemsOf(operand, budget);
  if (pairs === undefined) return urlQuote(toText(operand, budget), false);
  return pairs
    .map((pair) => {
      const parts = iterate(pair, budget);
      if (parts.length !== 2) throw new TemplateRuntimeError('urlencode takes pairs of a name and a value');
      return parts.map((part) => urlQuote(toText(part, budget), true)).join('=');
    })
    .join('&');
};

/** Jinja's filters on texts and numbers, and the one that is transformers' own: `tojson`. */
export const TEXT_FILTERS: readonly (readonly [string, Filter])[] = [
  ['lower', text((found) => found.toLowerCase())],
  ['upper', text((found) => found.toUpperCase())],
  ['capitalize', text(capitalize)],
  ['title', text((found) => found.replace(TITLE_WORD, withCapital))],
  ['string', (operand, _args, { budget }) => (operand instanceof Markup ? operand : toText(operand, budget))],
  ['safe', (operand, _args, { budget }) => new Markup(toText(operand, budget))],
  ['e', escapeFilter],
  ['escape', escapeFilter],
  ['forceescape', (operand, _args, { budget }) => new Markup(escapeHtml(toText(operand, budget)))],
  [
    'striptags',
    text((found) =>
      found
        .replace(/<!--[\s\S]*?-->|<[^>]*>/g, '')
        .split(/\s+/)
        .filter(Boolean)
        .join(' '),
    ),
  ],
  ['default', defaultOf],
  ['d', defaultOf],
  ['indent', indent],
  ['tojson', tojson],
  ['truncate', truncate],
  ['int', toInt],
  ['float', toFloat],
  ['urlencode', urlencode],
  [
    'attr',
    (operand, args, { budget }) => onlyAttribute(operand, bind('attr', args, 'name').name ?? '', budget),
  ],
  [
    'wordcount',
    (operand, _args, { budget }) => BigInt((toText(operand, budget).match(/[\p{L}\p{N}_]+/gu) ?? []).length),
  ],
  [
    'center',
    (operand, args, { budget }) =>
      pad(toText(operand, budget), wholeOf(bind('center', args, 'width?').width, 80), ' ', 'center', budget),
  ],
  [
    'trim',
    (operand, args, { budget }) =>
      stripText(
        toText(operand, budget),
        'strip',
        textArgument(bind('trim', args, 'chars?').chars, budget),
        budget,
      ),
  ],
  [
    'replace',
    (operand, args, { budget }) => {
      const { old = '', new: by = '', count = null } = bind('replace', args, 'old', 'new', 'count?');
      const limit = count === null ? -1 : wholeOf(count, -1);
      return replaceText(toText(operand, budget), toText(old, budget), toText(by, budget), limit, budget);
    },
  ],
  [
    'format',
    (operand, { positional, keyword }, { budget }) => {
      const values: Value = keyword.size > 0 ? new Dict(keyword) : new Tuple(positional);
      return formatPercent(toText(operand, budget), values, budget);
    },
  ],
];

/** A text's characters from last to first. */
export function reversedText(found: string): string {
  return Array.from(codePoints(found)).reverse().join('');
}
