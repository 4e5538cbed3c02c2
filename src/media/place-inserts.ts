import { refuseRequest } from '../errors.js';
import type { Insert } from './insert.js';
import type { MediaKind, MediaPiece, MediaProcessor } from './processor.js';

/** A prompt as models read it: each placeholder stands as often as its encoder gives rows. */
export interface ExpandedPrompt {
  readonly tokens: Int32Array;
  readonly inserts: readonly Insert[];
}

/** One thing of a prompt, as its processor has made it ready. */
export interface ProcessedMedia {
  readonly kind: MediaKind;
  readonly pieces: readonly MediaPiece[];
}

/**
 * Expands the placeholders of a prompt: the first of each kind stands for the first thing of that kind, and so on. Each row
 * that an encoder gives takes the placeholder's id.
 * @throws REQUEST_INVALID when there are not as many placeholders as things
 */
export function placeInserts(
  tokens: ArrayLike<number>,
  media: readonly ProcessedMedia[],
  { placeholders, around = {} }: Pick<MediaProcessor, 'placeholders' | 'around'>,
): ExpandedPrompt {
  const kinds = new Map(
    Object.entries(placeholders).map(([kind, token]) => [token, kind as MediaKind] as const),
  );
  const waiting = new Map<MediaKind, (readonly MediaPiece[])[]>();
  for (const { kind, pieces } of media) waiting.set(kind, [...(waiting.get(kind) ?? []), pieces]);
  const expanded: number[] = [];
  const inserts: Insert[] = [];
  const found = new Map<MediaKind, number>();
  const given = Array.from(tokens);
  for (let at = 0; at < given.length; at++) {
    const token = given[at] as number;
    const kind = kinds.get(token);
    const [before, behind] = (kind && around[kind]) ?? [];
    if (before !== undefined && expanded.at(-1) === before && given[at + 1] === behind) {
      expanded.pop();
      at++;
    }
    if (kind !== undefined) found.set(kind, (found.get(kind) ?? 0) + 1);
    for (const piece of (kind && waiting.get(kind)?.shift()) ?? [[token]]) {
      if ('data' in piece) inserts.push({ start: expanded.length, input: piece });
      const ids = 'data' in piece ? Array<number>(piece.count).fill(token) : piece;
      for (const id of ids) expanded.push(id);
    }
  }
  for (const kind of new Set(kinds.values())) {
    const [things, places] = [media.filter((each) => each.kind === kind).length, found.get(kind) ?? 0];
    if (things !== places)
      refuseRequest('prompt', `a place for each ${kind} (${things})`, `${places} of them`);
  }
  return { tokens: Int32Array.from(expanded), inserts };
}
