/** A string of JSON, a bracket, or whatever stands between these. */
const PIECE = /"[^"\\]*(?:\\[\s\S][^"\\]*)*"|[[\]{}:,]|[^"[\]{}:,]+/g;

/**
 * The parts of a JSON text as they are written: the values of an object by their keys, the last of those that come twice, or
 * the values of a list by their numbers. Written anew, numbers of more than 15 digits would be others. The text must be JSON.
 */
export function slicesOf(json: string): ReadonlyMap<string, string> {
  const slices = new Map<string, string>();
  let [depth, start, index] = [0, 0, 0];
  let key: string | undefined;
  const add = (end: number): void => {
    const value = json.slice(start, end).trim();
    if (value !== '') slices.set(key ?? String(index++), value);
    key = undefined;
  };
  for (const { 0: piece, index: at } of json.matchAll(PIECE)) {
    if (piece === '{' || piece === '[') {
      if (depth++ === 0) start = at + 1;
    } else if (piece === '}' || piece === ']') {
      if (--depth === 0) add(at);
    } else if (depth === 1 && piece === ',') {
      add(at);
      start = at + 1;
    } else if (depth === 1 && piece === ':' && key === undefined) {
      key = JSON.parse(json.slice(start, at)) as string;
      start = at + 1;
    }
  }
  return slices;
}

/** JSON without white space between its parts, which are as they are written. */
export const compactJson = (json: string): string =>
  json.replaceAll(/"[^"\\]*(?:\\[\s\S][^"\\]*)*"|\s+/g, (piece) => (piece.startsWith('"') ? piece : ''));
