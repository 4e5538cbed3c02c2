import {
  type CodePoints,
  characters,
  choice,
  complement,
  type Expression,
  repeat,
  sequence,
  text,
} from './expression.js';

/** Line breaks and blanks that formats put behind a mark; more of them only take time. */
const MOST_SPACE = 2;
const SPACE: readonly CodePoints[] = [
  [0x0a, 0x0a],
  [0x20, 0x20],
];

/**
 * Any text that has `mark` at its end and nowhere before, and white space behind it. The first character of `mark` must
 * come once in it: wherever it comes again in a text, a mark may begin there and nowhere earlier.
 */
export function upTo(mark: string): Expression {
  const letters = [...mark];
  const first = pointOf(letters[0] as string);
  // `mark` breaks off behind each of these.
  const begun = letters.slice(1).map((letter, at) => ({ prefix: letters.slice(0, at + 1).join(''), letter }));
  const restarts = repeat(choice(...begun.map(({ prefix }) => text(prefix))), 0);
  const other = begun.map(({ prefix, letter }) =>
    sequence(text(prefix), characters(...complement([first, pointOf(letter)]))),
  );
  const isOneLetter = begun.length === 0;
  const free = isOneLetter ? [] : [sequence(restarts, choice(...other))];
  return sequence(
    repeat(choice(characters(...complement([first])), ...free), 0),
    ...(isOneLetter ? [] : [restarts]),
    text(mark),
    repeat(characters(...SPACE), 0, MOST_SPACE),
  );
}

function pointOf(letter: string): CodePoints {
  const point = letter.codePointAt(0) as number;
  return [point, point];
}
