/** What Python's `str.isspace` and `\s` count as white space; JavaScript's differ in U+FEFF, U+0085 and U+001C–U+001F. */
export const SPACE =
  '[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]';

const LINE_END_CHARACTER = '[\\n-\\r\\x1c-\\x1e\\x85\\u2028\\u2029]';

/** What ends a line for `str.splitlines`. */
export const LINE_END = new RegExp(`\\r\\n|${LINE_END_CHARACTER}`);

const START = new RegExp(`^${SPACE}+`);
const IS_SPACE = new RegExp(SPACE);

export function trimStart(text: string): string {
  return text.replace(START, '');
}

/** From the end backwards: a pattern for it would look at every run of white space to its end. */
export function trimEnd(text: string): string {
  let end = text.length;
  while (end > 0 && IS_SPACE.test(text[end - 1] as string)) end--;
  return text.slice(0, end);
}

export function isSpace(text: string): boolean {
  return text !== '' && trimStart(text) === '';
}

/** Python's `str.splitlines`: no line after the last end. */
export function splitLines(text: string, keepsEnds = false): string[] {
  const lines: string[] = [];
  let start = 0;
  for (const end of text.matchAll(new RegExp(LINE_END, 'g'))) {
    const next = end.index + end[0].length;
    lines.push(text.slice(start, keepsEnds ? next : end.index));
    start = next;
  }
  if (start < text.length) lines.push(text.slice(start));
  return lines;
}
