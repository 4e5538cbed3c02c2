import type { Budget } from './budget.js';
import { order } from './comparison.js';
import type { Filter } from './filter.js';
import { toRepr } from './text.js';
import { codePoints, Dict, List, TemplateRuntimeError, Tuple, typeName, type Value } from './values.js';
import { SPACE, splitLines } from './white-space.js';

const WIDTH = 80;
/** Words with the white space behind them. */
const WORDS = new RegExp(`(?:(?!${SPACE})[\\s\\S])*${SPACE}*`, 'gu');

const sizeOf = (text: string): number => codePoints(text).length;

/** By keys; those that cannot be compared by the names of their types. */
function sortedEntries(dict: Dict, budget: Budget): (readonly [Value, Value])[] {
  return dict.entries().sort(([left], [right]) => {
    try {
      return order(left, right, budget);
    } catch (error) {
      if (!(error instanceof TemplateRuntimeError)) throw error;
      return typeName(left) < typeName(right) ? -1 : typeName(left) > typeName(right) ? 1 : 0;
    }
  });
}

/** A value in one line. */
function flat(value: Value, budget: Budget): string {
  budget.spend(1);
  return budget.nested(() => {
    const all = (items: readonly Value[]): string => items.map((item) => flat(item, budget)).join(', ');
    let text: string;
    if (value instanceof List) text = `[${all(value.items)}]`;
    else if (value instanceof Tuple) text = `(${all(value.items)}${value.items.length === 1 ? ',' : ''})`;
    else if (value instanceof Dict) {
      const entries = sortedEntries(value, budget);
      text = `{${entries.map(([key, item]) => `${flat(key, budget)}: ${flat(item, budget)}`).join(', ')}}`;
    } else return toRepr(value, budget);
    budget.payString(text.length);
    return text;
  });
}

/** A text as literals side by side, each as long as the line allows. */
function literals(text: string, indent: number, allowance: number, budget: Budget): string[] {
  const lines = splitLines(text, true);
  const width = WIDTH - indent;
  return lines.flatMap((line, at) => {
    const room = at === lines.length - 1 ? allowance : 0;
    const whole = toRepr(line, budget);
    if (sizeOf(whole) <= width - room) return [whole];
    const words = (line.match(WORDS) ?? []).filter((word) => word !== '');
    const found: string[] = [];
    let current = '';
    for (const [index, word] of words.entries()) {
      const limit = index === words.length - 1 ? width - room : width;
      const longer = current + word;
      if (sizeOf(toRepr(longer, budget)) <= limit) current = longer;
      else {
        if (current !== '') found.push(toRepr(current, budget));
        current = word;
      }
    }
    return current === '' ? found : [...found, toRepr(current, budget)];
  });
}

/** Python's `pprint.pformat`: `indent` characters stand before the value, and `allowance` behind it. */
function pretty(value: Value, indent: number, allowance: number, level: number, budget: Budget): string {
  const line = flat(value, budget);
  if (sizeOf(line) <= WIDTH - indent - allowance) return line;
  const between = (by: number): string => `,\n${' '.repeat(indent + by)}`;
  const inner = (item: Value, before: number, behind: number): string =>
    budget.nested(() => pretty(item, before, behind, level + 1, budget));
  if (value instanceof List || value instanceof Tuple) {
    const [open, close] = value instanceof List ? '[]' : '()';
    const end = value instanceof Tuple && value.items.length === 1 ? `,${close}` : (close as string);
    const last = value.items.length - 1;
    const items = value.items.map((item, at) =>
      inner(item, indent + 1, at === last ? allowance + end.length : 1),
    );
    return `${open}${items.join(between(1))}${end}`;
  }
  if (value instanceof Dict) {
    const entries = sortedEntries(value, budget);
    const items = entries.map(([key, item], at) => {
      const name = flat(key, budget);
      const behind = at === entries.length - 1 ? allowance + 1 : 1;
      return `${name}: ${inner(item, indent + 1 + sizeOf(name) + 2, behind)}`;
    });
    return `{${items.join(between(1))}}`;
  }
  if (typeof value !== 'string') return line;
  const isTop = level === 1;
  const place = isTop ? indent + 1 : indent;
  const found = literals(value, place, isTop ? allowance + 1 : allowance, budget);
  if (found.length === 1) return found[0] as string;
  const text = found.join(`\n${' '.repeat(place)}`);
  return isTop ? `(${text})` : text;
}

export const pprint: Filter = (operand, _args, { budget }) => {
  const text = pretty(operand, 0, 0, 1, budget);
  budget.payString(text.length);
  return text;
};
