/**
 * What a grammar's rule allows, as data. `characters` are Unicode code points, of which one is read; everything is
 * turned into bytes of UTF-8 later, because that is what tokens are made of.
 */
export type Expression =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'characters'; readonly ranges: readonly CodePoints[] }
  | { readonly kind: 'sequence'; readonly items: readonly Expression[] }
  | { readonly kind: 'choice'; readonly items: readonly Expression[] }
  /** `max` undefined: any number. */
  | {
      readonly kind: 'repeat';
      readonly item: Expression;
      readonly min: number;
      readonly max: number | undefined;
    }
  | { readonly kind: 'rule'; readonly name: string };

/** Code points from the first to the last, both included. */
export type CodePoints = readonly [first: number, last: number];

/** Rules by name; `root` says what the whole text is. */
export interface Rules {
  readonly root: string;
  readonly rules: ReadonlyMap<string, Expression>;
}

export const MAX_CODE_POINT = 0x10ffff;

export const text = (content: string): Expression => ({ kind: 'text', text: content });
export const sequence = (...items: readonly Expression[]): Expression => ({ kind: 'sequence', items });
export const choice = (...items: readonly Expression[]): Expression =>
  items.length === 1 ? (items[0] as Expression) : { kind: 'choice', items };
export const repeat = (item: Expression, min: number, max?: number): Expression => ({
  kind: 'repeat',
  item,
  min,
  max,
});
export const optional = (item: Expression): Expression => repeat(item, 0, 1);
export const rule = (name: string): Expression => ({ kind: 'rule', name });
export const characters = (...ranges: readonly CodePoints[]): Expression => ({
  kind: 'characters',
  ranges: normalized(ranges),
});
/** Reads nothing. */
export const NOTHING: Expression = sequence();

/** Sorted ranges without overlaps. */
export function normalized(ranges: readonly CodePoints[]): CodePoints[] {
  const merged: [number, number][] = [];
  for (const [first, last] of [...ranges].sort(([a], [b]) => a - b)) {
    const before = merged.at(-1);
    if (before !== undefined && first <= before[1] + 1) before[1] = Math.max(before[1], last);
    else if (first <= last) merged.push([first, last]);
  }
  return merged;
}

/** The code points that are in no range. */
export function complement(ranges: readonly CodePoints[]): CodePoints[] {
  const outside: CodePoints[] = [];
  let next = 0;
  for (const [first, last] of normalized(ranges)) {
    if (first > next) outside.push([next, first - 1]);
    next = last + 1;
  }
  if (next <= MAX_CODE_POINT) outside.push([next, MAX_CODE_POINT]);
  return outside;
}

export function intersection(a: readonly CodePoints[], b: readonly CodePoints[]): CodePoints[] {
  return complement([...complement(a), ...complement(b)]);
}
