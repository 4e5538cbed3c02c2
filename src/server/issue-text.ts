import type { z } from 'zod';
import { describeValue } from '../describe-value.js';
import { isObject } from '../is-object.js';

type Issue = z.core.$ZodIssue;

/** What zod calls the types of JSON. */
const TYPES: Readonly<Record<string, string>> = {
  array: 'a list',
  boolean: 'true or false',
  int: 'an integer',
  number: 'a number',
  object: 'an object',
  record: 'an object',
  string: 'a text',
};

/** What goes on after a field's name: " must be a number, found "x"". */
export function saying(issue: Issue, body: unknown): string {
  const expected = expectedBy(issue);
  if (expected === undefined) return `: ${issue.message}`;
  const found = issue.path.reduce<unknown>(memberOf, body);
  // As JSON.parse reads 1e999.
  if (found === Number.POSITIVE_INFINITY || found === Number.NEGATIVE_INFINITY)
    return ' must be a number that double precision holds, found one that is larger';
  return ` ${expected}, found ${found === undefined ? 'nothing' : describeValue(sizeIn(issue, found))}`;
}

/** How many entries or characters there are, where that is wrong with them. */
function sizeIn({ code }: Issue, found: unknown): unknown {
  const hasSize = Array.isArray(found) || typeof found === 'string';
  return (code === 'too_big' || code === 'too_small') && hasSize && found.length > 0 ? found.length : found;
}

/** What the field must be; undefined for what zod says in other words. */
function expectedBy(issue: Issue): string | undefined {
  // Our own sentences; zod's begin otherwise.
  if (issue.message.startsWith('must ')) return issue.message;
  switch (issue.code) {
    case 'invalid_type':
      return `must be ${TYPES[issue.expected] ?? issue.expected}`;
    case 'invalid_value':
      return `must be ${issue.values.map((value) => JSON.stringify(value)).join(' or ')}`;
    case 'too_small':
      return bound(issue.origin, 'at least', issue.minimum);
    case 'too_big':
      return bound(issue.origin, 'at most', issue.maximum);
    default:
      return undefined;
  }
}

function bound(origin: string, side: string, limit: number | bigint): string {
  if (origin === 'array') return `must have ${side} ${limit} ${limit === 1 ? 'entry' : 'entries'}`;
  if (origin === 'string') return `must have ${side} ${limit} ${limit === 1 ? 'character' : 'characters'}`;
  return `must be ${side} ${limit}`;
}

const memberOf = (value: unknown, key: PropertyKey): unknown =>
  Array.isArray(value) || isObject(value) ? (value as Record<PropertyKey, unknown>)[key] : undefined;
