// Python's case of letters. JavaScript has the mappings to small and capital letters, and knows which letters have a
// case; title case, which differs from capitals for some letters, and case folding are here.

const CASED = /^\p{Cased}$/u;
const LOWERCASE = /^\p{Lowercase}$/u;
const NOT_UPPERCASE = /[\p{Lowercase}\p{Lt}]/u;
const NOT_LOWERCASE = /[\p{Uppercase}\p{Lt}]/u;
/** A sigma ends a word behind a letter, and before none. */
const BEFORE_LAST = /\p{Cased}\p{Case_Ignorable}*$/u;
const BEHIND_LAST = /^\p{Case_Ignorable}*\p{Cased}/u;
/** Letters of two, of which title case makes only the first a capital. */
const DIGRAPHS = ['Ǆǅǆ', 'Ǉǈǉ', 'Ǌǋǌ', 'Ǳǲǳ'] as const;
/** Georgian letters are their own title case. */
const GEORGIAN = /^[\u10d0-\u10ff]$/;
/** Greek letters with an iota below, which is a letter of its own in capitals only. */
const WITH_IOTA =
  /^[\u1f80-\u1faf\u1fb2-\u1fb4\u1fb7\u1fbc\u1fc2-\u1fc4\u1fc7\u1fcc\u1ff2-\u1ff4\u1ff7\u1ffc]$/;
/** Cherokee letters fold to capitals. */
const CHEROKEE = /^[\u13a0-\u13f5\u13f8-\u13fd\uab70-\uabbf]$/;

/** The first letter as titles have it, the others small. */
export function capitalize(text: string): string {
  const points = Array.from(text);
  return points.map((point, at) => (at === 0 ? titleCase(point) : lowerAt(points, at))).join('');
}

/** Each letter behind none as titles have it, the others small. */
export function title(text: string): string {
  const points = Array.from(text);
  return points
    .map((point, at) => (CASED.test(points[at - 1] ?? '') ? lowerAt(points, at) : titleCase(point)))
    .join('');
}

export function swapCase(text: string): string {
  const points = Array.from(text);
  return points
    .map((point, at) => {
      if (isUpper(point)) return lowerAt(points, at);
      return isLower(point) ? point.toUpperCase() : point;
    })
    .join('');
}

/** What texts have in common that differ in case only. */
export function caseFold(text: string): string {
  return Array.from(text, (point) => {
    if (point === 'ı') return point;
    if (CHEROKEE.test(point)) return point.toUpperCase();
    // By way of capitals, which spell out ligatures, each letter apart: at the end of a word, too, a sigma is one.
    return Array.from(point.toLowerCase().toUpperCase(), (capital) => capital.toLowerCase()).join('');
  }).join('');
}

export const isLower = (text: string): boolean => /\p{Lowercase}/u.test(text) && !NOT_LOWERCASE.test(text);

export const isUpper = (text: string): boolean => /\p{Uppercase}/u.test(text) && !NOT_UPPERCASE.test(text);

/** Whether capitals are behind no letter, and small letters behind one. */
export function isTitle(text: string): boolean {
  let [isBehind, hasCapital] = [false, false];
  for (const point of text) {
    const isCased = CASED.test(point);
    if (isCased && LOWERCASE.test(point) !== isBehind) return false;
    hasCapital ||= isCased;
    isBehind = isCased;
  }
  return hasCapital;
}

function titleCase(point: string): string {
  const digraph = DIGRAPHS.find((forms) => forms.includes(point));
  if (digraph !== undefined) return digraph[1] as string;
  if (GEORGIAN.test(point)) return point;
  if (point === 'ŉ') return 'ʼN';
  const [first = '', ...rest] = Array.from(point.toUpperCase());
  // A letter that becomes several: only the first of them is a capital, as in "Ss".
  const small = rest.join('').toLowerCase();
  return WITH_IOTA.test(point) ? (first + small.replace('ι', '\u0345')).normalize('NFC') : first + small;
}

function lowerAt(points: readonly string[], at: number): string {
  const point = points[at] as string;
  if (point !== 'Σ') return point.toLowerCase();
  const [before, behind] = [points.slice(0, at).join(''), points.slice(at + 1).join('')];
  return BEFORE_LAST.test(before) && !BEHIND_LAST.test(behind) ? 'ς' : 'σ';
}
