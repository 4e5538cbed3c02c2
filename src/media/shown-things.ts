import { endOf, type Insert } from './insert.js';

/** Things that some tokens of a prompt attend to in place of words, all together or up to their own. */
export interface ShownThing {
  /** Those things, each where its own token stands. */
  readonly parts: readonly Insert[];
  /** Tokens [from, to) of the sequence attend to them; Infinity: up to its end. */
  readonly from: number;
  readonly to: number;
  /** Whether these tokens come before all that a prompt shows: they see all rows, those that hold nothing, too. */
  readonly isBefore: boolean;
}

/**
 * What tokens of a prompt see of what decides about it (`parts`, else the insert itself, whose token is its last one).
 * Tokens before all of it see all of it. Those behind see what stands before them, back to the last token that shows
 * nothing: what is shown one after another is seen together. Each of those tokens itself sees what comes up to it.
 */
export function shownThings(insert: Insert | undefined): readonly ShownThing[] {
  if (insert === undefined) return [];
  const all = insert.input.parts ?? [{ ...insert, start: endOf(insert) - 1 }];
  const groups: Insert[][] = [];
  for (const part of all) {
    const last = groups.at(-1);
    if (last?.at(-1)?.start === part.start - 1) last.push(part);
    else groups.push([part]);
  }
  const from = groups.map(([first]) => first?.start ?? 0);
  const behind = groups.map((parts, at) => ({
    parts,
    from: from[at] ?? 0,
    to: from[at + 1] ?? Number.POSITIVE_INFINITY,
    isBefore: false,
  }));
  return [{ parts: all, from: 0, to: from[0] ?? 0, isBefore: true }, ...behind];
}
