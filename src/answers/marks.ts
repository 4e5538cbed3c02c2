/** The mark that stands first in a text. */
export function firstOf(text: string, marks: readonly string[]): { at: number; mark: string } | undefined {
  let first: { at: number; mark: string } | undefined;
  for (const mark of marks) {
    const at = text.indexOf(mark);
    if (at !== -1 && (first === undefined || at < first.at)) first = { at, mark };
  }
  return first;
}

/** Characters at the end of a text that may be the beginning of a mark. */
export function heldBack(text: string, marks: readonly string[]): number {
  const most = Math.max(0, ...marks.map((mark) => mark.length - 1));
  for (let length = Math.min(most, text.length); length > 0; length--) {
    const tail = text.slice(-length);
    if (marks.some((mark) => mark.startsWith(tail))) return length;
  }
  return 0;
}
