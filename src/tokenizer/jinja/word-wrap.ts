import { bind, requiredText, wholeOf } from './arguments.js';
import type { Filter } from './filter.js';
import { isTrue, textOf } from './iteration.js';
import { TemplateRuntimeError, typeName } from './values.js';
import { isSpace, splitLines } from './white-space.js';

const BLANK = '[\\t\\n\\v\\f\\r ]';
const SOLID = '[^\\t\\n\\v\\f\\r ]';
const WORD = '[\\p{L}\\p{N}_]';
const LETTER = '[\\p{L}\\p{Nl}\\p{No}_]';
/** What may stand before a dash. */
const BEFORE_DASH = `[\\p{L}\\p{N}_!"'&.,?]`;

/** White space, a dash between words, or a word, cut behind its hyphens where letters stand around them. */
const CHUNKS = new RegExp(
  `${BLANK}+|(?<=${BEFORE_DASH})-{2,}(?=${WORD})|${SOLID}+?(?:` +
    `-(?:(?<=${LETTER}{2}-)|(?<=${LETTER}-${BEFORE_DASH}-))(?=${LETTER}-?${LETTER})|` +
    `(?=${BLANK}|$)|(?<=${BEFORE_DASH})(?=-{2,}${WORD}))`,
  'gu',
);
const PLAIN_CHUNKS = new RegExp(`${BLANK}+|${SOLID}+`, 'gu');

interface Wrapping {
  readonly width: number;
  readonly breaksWords: boolean;
  readonly breaksOnHyphens: boolean;
}

/** Python's `textwrap.wrap` of one line, which keeps the white space inside. Sizes are in code points. */
function wrapLine(line: string, { width, breaksWords, breaksOnHyphens }: Wrapping): string[] {
  const chunks = (line.match(breaksOnHyphens ? CHUNKS : PLAIN_CHUNKS) ?? []).map((one) => Array.from(one));
  chunks.reverse();
  const lines: string[] = [];
  while (chunks.length > 0) {
    const current: string[][] = [];
    let size = 0;
    if (lines.length > 0 && isSpace(chunks.at(-1)?.join('') ?? '')) chunks.pop();
    for (
      let chunk = chunks.at(-1);
      chunk !== undefined && size + chunk.length <= width;
      chunk = chunks.at(-1)
    ) {
      current.push(chunk);
      size += chunk.length;
      chunks.pop();
    }
    const long = chunks.at(-1);
    if (long !== undefined && long.length > width) {
      if (breaksWords) {
        const end = endOfPiece(long, width - size, breaksOnHyphens);
        current.push(long.slice(0, end));
        chunks[chunks.length - 1] = long.slice(end);
      } else if (current.length === 0) current.push(chunks.pop() as string[]);
    }
    if (isSpace(current.at(-1)?.join('') ?? '')) current.pop();
    if (current.length > 0) lines.push(current.flat().join(''));
  }
  return lines;
}

/** How much of a word that is too long for any line goes onto this one. */
function endOfPiece(word: readonly string[], space: number, breaksOnHyphens: boolean): number {
  if (!breaksOnHyphens || word.length <= space) return space;
  const hyphen = word.slice(0, space).lastIndexOf('-');
  return hyphen > 0 && word.slice(0, hyphen).some((point) => point !== '-') ? hyphen + 1 : space;
}

/** `text | wordwrap`: each line on its own. */
export const wordwrap: Filter = (operand, args, { budget }) => {
  const given = bind('wordwrap', args, 'width?', 'break_long_words?', 'wrapstring?', 'break_on_hyphens?');
  const text = textOf(operand);
  if (text === undefined) throw new TemplateRuntimeError(`'${typeName(operand)}' object has no lines`);
  const width = wholeOf(given.width, 79);
  const between = (given.wrapstring ?? null) === null ? '\n' : requiredText(given.wrapstring, budget);
  budget.payItems(text.length);
  const wrapped = splitLines(text).map((line) => {
    if (width <= 0) throw new TemplateRuntimeError(`invalid width ${width} (must be > 0)`);
    return wrapLine(line, {
      width,
      breaksWords: isTrue(given.break_long_words ?? true),
      breaksOnHyphens: isTrue(given.break_on_hyphens ?? true),
    });
  });
  const numLines = wrapped.reduce((sum, lines) => sum + lines.length + 1, 0);
  budget.payString(text.length + numLines * between.length);
  return wrapped.map((lines) => lines.join(between)).join(between);
};
