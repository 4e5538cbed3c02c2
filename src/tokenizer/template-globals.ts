import { MAX_ITEMS } from './bounded-interpreter.js';

/** Thrown by a template's `raise_exception`. */
export class TemplateRefusal extends Error {}

/** Thrown by a global that was asked for too much. */
export class TemplateExcess extends Error {
  constructor(
    readonly what: string,
    readonly limit: number,
  ) {
    super(what);
  }
}

const MAX_REASON_LEN = 1000;
const MAX_FORMAT_LEN = 256;

const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const MONTHS = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
];

/** What `transformers` gives to chat templates besides the conversation, and Jinja's constants. */
export function templateGlobals(now: Date): Record<string, unknown> {
  return {
    true: true,
    True: true,
    false: false,
    False: false,
    none: null,
    None: null,
    range,
    raise_exception: (reason: unknown) => {
      throw new TemplateRefusal(
        typeof reason === 'string' ? reason.slice(0, MAX_REASON_LEN) : 'no reason given',
      );
    },
    strftime_now: (format: unknown) => strftime(now, format),
  };
}

/** Python's `range`, of at most 100,000 numbers. */
function range(first: unknown, second?: unknown, step: unknown = 1): number[] {
  const [start, stop] = second === undefined ? [0, first] : [first, second];
  if (!Number.isInteger(start) || !Number.isInteger(stop) || !Number.isInteger(step))
    throw new Error('range() takes integers');
  if (step === 0) throw new Error('range() step must not be zero');
  const length = Math.max(0, Math.ceil(((stop as number) - (start as number)) / (step as number)));
  if (length > MAX_ITEMS) throw new TemplateExcess('numbers of a range', MAX_ITEMS);
  return Array.from({ length }, (_, i) => (start as number) + i * (step as number));
}

/** Python's `strftime` in the C locale, for the directives that templates use. */
function strftime(now: Date, format: unknown): string {
  if (typeof format !== 'string') throw new Error('strftime_now() takes a string');
  if (format.length > MAX_FORMAT_LEN) throw new TemplateExcess('characters of a date format', MAX_FORMAT_LEN);
  const two = (value: number): string => String(value).padStart(2, '0');
  const day = DAYS[now.getDay()] as string;
  const month = MONTHS[now.getMonth()] as string;
  const values: Record<string, string> = {
    '%Y': String(now.getFullYear()),
    '%y': two(now.getFullYear() % 100),
    '%m': two(now.getMonth() + 1),
    '%d': two(now.getDate()),
    '%H': two(now.getHours()),
    '%I': two(now.getHours() % 12 || 12),
    '%M': two(now.getMinutes()),
    '%S': two(now.getSeconds()),
    '%p': now.getHours() < 12 ? 'AM' : 'PM',
    '%A': day,
    '%a': day.slice(0, 3),
    '%B': month,
    '%b': month.slice(0, 3),
    '%%': '%',
  };
  return format.replace(/%./g, (directive) => values[directive] ?? directive);
}
