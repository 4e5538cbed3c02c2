import { bind, textArgument, wholeOf } from './arguments.js';
import { onlyAttribute } from './attributes.js';
import type { Filter } from './filter.js';
import { formatPercent } from './format.js';
import { isTrue, itemsOf, iterate, lengthOf, textOf } from './iteration.js';
import { capitalize } from './letter-case.js';
import { escapeHtml } from './operators.js';
import { pprint } from './pretty-print.js';
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
import { LINE_END, SPACE } from './white-space.js';
import { wordwrap } from './word-wrap.js';

/** What ends an attribute's name. */
const ATTRIBUTE_END = /[ \t\n\r\f\v/>=]/;
/** Between blanks, hyphens and opening brackets. */
const TITLE_WORD = new RegExp(`(?:(?!${SPACE})[^-({[<])+`, 'gu');

function withCapital(word: string): string {
  const [first = '', ...rest] = Array.from(word);
  return first.toUpperCase() + rest.join('').toLowerCase();
}

/** The texts of numbered entities, and of those that `escape` writes. */
function unescapeHtml(found: string): string {
  const names: Readonly<Record<string, string>> = {
    amp: '&',
    lt: '<',
    gt: '>',
    quot: '"',
    apos: "'",
    nbsp: '\xa0',
  };
  return found.replace(
    /&(?:#(\d{1,7})|#[xX]([\da-fA-F]{1,6})|(amp|lt|gt|quot|apos|nbsp));?/g,
    (whole, ten, hex, name) => {
      if (name !== undefined) return names[name] ?? whole;
      const code = ten === undefined ? Number.parseInt(hex, 16) : Number(ten);
      return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : '\ufffd';
    },
  );
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

function urlQuote(found: string, isQuery: boolean): string {
  const quoted = encodeURIComponent(found).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return isQuery ? quoted.replaceAll('%20', '+') : quoted.replaceAll('%2F', '/');
}

/** Names and values as an element's attributes, without those that have none. */
const xmlattr: Filter = (operand, args, { budget }) => {
  const { autospace = true } = bind('xmlattr', args, 'autospace?');
  if (operand instanceof Undefined) operand.fail();
  if (!(operand instanceof Dict))
    throw new TemplateRuntimeError(`'${typeName(operand)}' object has no items`);
  const items = operand
    .entries()
    .filter(([, value]) => value !== null && !(value instanceof Undefined))
    .map(([key, value]) => {
      const name = textOf(key);
      if (name === undefined || ATTRIBUTE_END.test(name))
        throw new TemplateRuntimeError(`Invalid character in attribute name: ${toText(key, budget)}`);
      const text = value instanceof Markup ? value.text : escapeHtml(toText(value, budget));
      return `${key instanceof Markup ? name : escapeHtml(name)}="${text}"`;
    });
  return (isTrue(autospace) && items.length > 0 ? ' ' : '') + items.join(' ');
};

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
    text((found) => {
      const words = found.replace(/<!--[\s\S]*?-->|<[^>]*>/g, '').split(new RegExp(`${SPACE}+`));
      return unescapeHtml(words.filter(Boolean).join(' '));
    }),
  ],
  ['default', defaultOf],
  ['d', defaultOf],
  ['indent', indent],
  ['tojson', tojson],
  ['truncate', truncate],
  ['urlencode', urlencode],
  ['xmlattr', xmlattr],
  ['wordwrap', wordwrap],
  ['pprint', pprint],
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
