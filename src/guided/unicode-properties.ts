import { type CodePoints, MAX_CODE_POINT } from './expression.js';

const known = new Map<string, readonly CodePoints[] | undefined>();
/** Properties that are kept. There are some hundreds, and patterns may name any. */
const MAX_KNOWN = 64;
let allCharacters: string | undefined;

/** The characters of a Unicode property, as JavaScript's \p{…} has them; undefined where there is none of that name. */
export function propertyRanges(name: string): readonly CodePoints[] | undefined {
  if (!known.has(name)) {
    if (known.size === MAX_KNOWN) known.clear();
    known.set(name, findRanges(name));
  }
  return known.get(name);
}

/** One search through the text of all characters takes 10 ms, asking for each takes ten times as long. */
function findRanges(name: string): CodePoints[] | undefined {
  let runs: RegExp;
  try {
    runs = new RegExp(`\\p{${name}}+`, 'gu');
  } catch {
    return undefined;
  }
  allCharacters ??= Array.from({ length: MAX_CODE_POINT + 1 }, (_, point) =>
    point < 0xd800 || point > 0xdfff ? String.fromCodePoint(point) : '',
  ).join('');
  return Array.from(allCharacters.matchAll(runs), ([run]) => {
    const end = run.codePointAt(run.length - 2) ?? 0;
    const last = end > 0xffff ? end : (run.codePointAt(run.length - 1) ?? 0);
    return [run.codePointAt(0) ?? 0, last] as const;
  });
}
