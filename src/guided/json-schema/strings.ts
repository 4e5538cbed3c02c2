import { AtbError } from '../../errors.js';
import {
  type CodePoints,
  characters,
  choice,
  complement,
  type Expression,
  intersection,
  MAX_CODE_POINT,
  NOTHING,
  normalized,
  repeat,
  rule,
  sequence,
  text,
} from '../expression.js';
import { parseRegex } from '../regex.js';
import { FORMATS } from './formats.js';
import type { Place, SchemaObject } from './schema.js';

/** Characters that a JSON string holds as they are: all but controls, the quote and the backslash. */
const PLAIN_RANGES = complement([
  [0, 0x1f],
  [0x22, 0x22],
  [0x5c, 0x5c],
]);
/** JSON's short escapes, by the character that each stands for. */
const ESCAPES: Readonly<Record<number, string>> = {
  8: '\\b',
  9: '\\t',
  10: '\\n',
  12: '\\f',
  13: '\\r',
  34: '\\"',
  92: '\\\\',
};

/** Of keys that a further one must differ from, those that begin alike counted once. Each takes some 30 nodes. */
const MAX_KEY_CHARACTERS = 10_000;

const SLASH: CodePoints = [0x2f, 0x2f];
const EVERYTHING: readonly CodePoints[] = [[0, MAX_CODE_POINT]];
const SPELLED_RANGES = normalized([
  ...PLAIN_RANGES,
  ...Object.keys(ESCAPES).map((point): CodePoints => [Number(point), Number(point)]),
]);

const PLAIN: Expression = characters(...PLAIN_RANGES);
const QUOTE = text('"');
const HEX = characters([0x30, 0x39], [0x41, 0x46], [0x61, 0x66]);
const SHORT_ESCAPE = choice(
  ...['"', '\\', '/', 'b', 'f', 'n', 'r', 't'].map((letter) => text(`\\${letter}`)),
);
/** \uXXXX for one character, that is, no half of a surrogate pair. */
const UNICODE_ESCAPE = sequence(
  text('\\u'),
  choice(
    sequence(
      characters([0x30, 0x39], [0x41, 0x43], [0x45, 0x46], [0x61, 0x63], [0x65, 0x66]),
      repeat(HEX, 3, 3),
    ),
    sequence(characters([0x44, 0x44], [0x64, 0x64]), characters([0x30, 0x37]), repeat(HEX, 2, 2)),
  ),
);
const PAIR_OF_ESCAPES = sequence(
  sequence(text('\\u'), characters([0x44, 0x44], [0x64, 0x64])),
  sequence(characters([0x38, 0x39], [0x41, 0x42], [0x61, 0x62]), repeat(HEX, 2, 2)),
  sequence(text('\\u'), characters([0x44, 0x44], [0x64, 0x64])),
  sequence(characters([0x43, 0x46], [0x63, 0x66]), repeat(HEX, 2, 2)),
);
const CHARACTER = rule('character');
/** Rules that strings call, so that long ones do not repeat them: one character, in any way to write it. */
export const STRING_RULES: ReadonlyMap<string, Expression> = new Map([
  ['character', choice(PLAIN, SHORT_ESCAPE, UNICODE_ESCAPE, PAIR_OF_ESCAPES)],
]);

export const STRING: Expression = quoted(repeat(CHARACTER, 0));

export function quoted(content: Expression): Expression {
  return sequence(QUOTE, content, QUOTE);
}

/** Strings of a length, a pattern or a format; of one of these, because a grammar cannot keep two at a time. */
export function stringExpression(schema: SchemaObject, place: Place): Expression {
  const min = place.count(schema, 'minLength') ?? 0;
  const max = place.count(schema, 'maxLength');
  const { pattern, format } = schema;
  if (pattern !== undefined && typeof pattern !== 'string') place.fail('pattern must be a string');
  const known = typeof format === 'string' ? FORMATS[format] : undefined;
  const hasLength = min > 0 || max !== undefined;
  if (hasLength && pattern !== undefined)
    place.refuse('a length together with pattern, which can count itself');
  if (hasLength && known !== undefined) place.refuse('a length together with format');
  if (max !== undefined && max < min) place.fail('maxLength is below minLength');
  if (pattern !== undefined || known !== undefined) return quoted(patternOf(pattern, known));
  return hasLength ? quoted(repeat(CHARACTER, min, max)) : STRING;
}

/** A pattern says more than a format beside it, unless a grammar cannot say it: then the format means the same. */
function patternOf(pattern: string | undefined, format: string | undefined): Expression {
  const options = { isSearch: true, write: inJson };
  try {
    return parseRegex(pattern ?? (format as string), options);
  } catch (error) {
    const isKnown = error instanceof AtbError && error.code === 'GUIDE_UNSUPPORTED';
    if (format === undefined || !isKnown) throw error;
    return parseRegex(format, options);
  }
}

/** One of these characters inside a JSON string: as it is where it may be, otherwise by its escape. */
export function inJson(ranges: readonly CodePoints[]): Expression {
  const escaped: Expression[] = [];
  for (const [first, last] of intersection(ranges, complement(PLAIN_RANGES)))
    for (let point = first; point <= last; point++)
      escaped.push(text(ESCAPES[point] ?? `\\u${point.toString(16).padStart(4, '0')}`));
  const plain = intersection(ranges, PLAIN_RANGES);
  return choice(...(plain.length === 0 ? [] : [characters(...plain)]), ...escaped);
}

/** A key that is none of `names`, with its quotes. Next to names it has no \\uXXXX, which could spell one of them. */
export function otherKey(names: readonly string[]): Expression {
  return names.length === 0 ? STRING : quoted(noneOf(treeOf(names)));
}

/** Texts by their characters, one after another. */
interface TextTree {
  /** Whether one of the texts ends here. */
  isEnd: boolean;
  readonly next: Map<string, TextTree>;
}

/** @throws GUIDE_TOO_LARGE before it is larger than any grammar may become of it */
function treeOf(texts: readonly string[]): TextTree {
  const root: TextTree = { isEnd: false, next: new Map() };
  let size = 0;
  for (const content of texts) {
    let at = root;
    for (const character of content) {
      const known = at.next.get(character);
      const next: TextTree = known ?? { isEnd: false, next: new Map() };
      if (known === undefined) at.next.set(character, next);
      if (known === undefined && ++size > MAX_KEY_CHARACTERS)
        throw new AtbError('GUIDE_TOO_LARGE', {
          what: 'characters in the names of properties, beside which there may be others',
          limit: MAX_KEY_CHARACTERS,
        });
      at = next;
    }
    at.isEnd = true;
  }
  return root;
}

/** A text that differs from each of these: it leaves the tree of their characters, or ends inside it. */
function noneOf({ isEnd, next }: TextTree): Expression {
  const taken = [...next.keys()].map(pointsOf);
  const options = [sequence(spelled(complement(taken)), repeat(spelled(EVERYTHING), 0))];
  for (const [first, inner] of next) options.push(sequence(spelled([pointsOf(first)]), noneOf(inner)));
  if (!isEnd) options.push(NOTHING);
  return choice(...options);
}

/** One of these characters as it is, or by its short escape. */
function spelled(ranges: readonly CodePoints[]): Expression {
  const known = intersection(ranges, SPELLED_RANGES);
  const slash = intersection(ranges, [SLASH]).length > 0 ? [text('\\/')] : [];
  return choice(inJson(known), ...slash);
}

const pointsOf = (character: string): CodePoints => {
  const point = character.codePointAt(0) as number;
  return [point, point];
};
