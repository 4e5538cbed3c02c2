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
const MS_PER_DAY = 86_400_000;

function padded(value: number, width = 2, fill = '0'): string {
  return String(value).padStart(width, fill);
}

/** Whole days from the first of January, in local time. */
function dayOfYear(now: Date): number {
  const today = Date.UTC(now.getFullYear(), now.getMonth(), now.getDate());
  return Math.round((today - Date.UTC(now.getFullYear(), 0, 1)) / MS_PER_DAY);
}

/** ISO 8601: weeks begin on Mondays, and the week belongs to the year of its Thursday. */
function isoWeek(now: Date): { readonly year: number; readonly week: number } {
  const thursday = new Date(now.getFullYear(), now.getMonth(), now.getDate() + 4 - (now.getDay() || 7));
  return { year: thursday.getFullYear(), week: 1 + Math.floor(dayOfYear(thursday) / 7) };
}

/** The week of the year, where weeks begin on `firstDay`; days before the first such day are in week 0. */
function weekFrom(now: Date, firstDay: number): number {
  return Math.floor((dayOfYear(now) + 7 - ((now.getDay() - firstDay + 7) % 7)) / 7);
}

/** glibc's directives in the C locale. The time has no zone, as Python's `datetime.now()` has none. */
const DIRECTIVES: Readonly<Record<string, (now: Date) => string>> = {
  a: (now) => DAYS[now.getDay()]?.slice(0, 3) ?? '',
  A: (now) => DAYS[now.getDay()] ?? '',
  b: (now) => MONTHS[now.getMonth()]?.slice(0, 3) ?? '',
  B: (now) => MONTHS[now.getMonth()] ?? '',
  c: (now) => strftime(now, '%a %b %e %H:%M:%S %Y'),
  C: (now) => padded(Math.floor(now.getFullYear() / 100)),
  d: (now) => padded(now.getDate()),
  D: (now) => strftime(now, '%m/%d/%y'),
  e: (now) => padded(now.getDate(), 2, ' '),
  f: (now) => padded(now.getMilliseconds() * 1000, 6),
  F: (now) => strftime(now, '%Y-%m-%d'),
  g: (now) => padded(isoWeek(now).year % 100),
  G: (now) => String(isoWeek(now).year),
  h: (now) => strftime(now, '%b'),
  H: (now) => padded(now.getHours()),
  I: (now) => padded(now.getHours() % 12 || 12),
  j: (now) => padded(dayOfYear(now) + 1, 3),
  k: (now) => padded(now.getHours(), 2, ' '),
  l: (now) => padded(now.getHours() % 12 || 12, 2, ' '),
  m: (now) => padded(now.getMonth() + 1),
  M: (now) => padded(now.getMinutes()),
  n: () => '\n',
  p: (now) => (now.getHours() < 12 ? 'AM' : 'PM'),
  P: (now) => (now.getHours() < 12 ? 'am' : 'pm'),
  r: (now) => strftime(now, '%I:%M:%S %p'),
  R: (now) => strftime(now, '%H:%M'),
  s: (now) => String(Math.floor(now.getTime() / 1000)),
  S: (now) => padded(now.getSeconds()),
  t: () => '\t',
  T: (now) => strftime(now, '%H:%M:%S'),
  u: (now) => String(now.getDay() || 7),
  U: (now) => padded(weekFrom(now, 0)),
  V: (now) => padded(isoWeek(now).week),
  w: (now) => String(now.getDay()),
  W: (now) => padded(weekFrom(now, 1)),
  x: (now) => strftime(now, '%m/%d/%y'),
  X: (now) => strftime(now, '%H:%M:%S'),
  y: (now) => padded(now.getFullYear() % 100),
  Y: (now) => String(now.getFullYear()),
  z: () => '',
  Z: () => '',
  '%': () => '%',
};

/**
 * Python's `datetime.strftime` in the C locale, with glibc's flags: `-` no padding, `_` blanks, `0` zeros, `^` capitals.
 * An unknown directive stays as it is.
 */
export function strftime(now: Date, format: string): string {
  return format.replace(/%([-_0^#]?)(.)/gsu, (whole, flag: string, directive: string) => {
    const text = DIRECTIVES[directive]?.(now);
    if (text === undefined) return whole;
    if (flag === '-') return text.replace(/^[0 ]+(?=.)/, '');
    if (flag === '_') return text.replace(/^0+(?=.)/, (zeros) => ' '.repeat(zeros.length));
    if (flag === '0') return text.replace(/^ +/, (blanks) => '0'.repeat(blanks.length));
    return flag === '' ? text : text.toUpperCase();
  });
}
