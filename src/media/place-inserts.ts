import { refuseRequest } from '../errors.js';
import type { EncoderInput, Insert } from './insert.js';
import type { MediaKind, MediaProcessor } from './processor.js';

/** A prompt as models read it: each placeholder stands as often as its encoder gives rows. */
export interface ExpandedPrompt {
  readonly tokens: Int32Array;
  readonly inserts: readonly Insert[];
}

/** One thing of a prompt, as its encoder reads it. */
export interface ProcessedMedia {
  readonly kind: MediaKind;
  readonly input: EncoderInput;
}

/**
 * Expands the placeholders of a prompt: the first of each kind stands for the first thing of that kind, and so on.
 * @throws REQUEST_INVALID when there are not as many placeholders as things
 */
export function placeInserts(
  tokens: ArrayLike<number>,
  media: readonly ProcessedMedia[],
  { placeholders }: Pick<MediaProcessor, 'placeholders'>,
): ExpandedPrompt {
  const kinds = new Map(
    Object.entries(placeholders).map(([kind, token]) => [token, kind as MediaKind] as const),
  );
  const waiting = new Map<MediaKind, EncoderInput[]>();
  for (const { kind, input } of media) waiting.set(kind, [...(waiting.get(kind) ?? []), input]);
  const expanded: number[] = [];
  const inserts: Insert[] = [];
  const found = new Map<MediaKind, number>();
  for (const token of Array.from(tokens)) {
    const kind = kinds.get(token);
    if (kind !== undefined) found.set(kind, (found.get(kind) ?? 0) + 1);
    const input = kind && waiting.get(kind)?.shift();
    if (input === undefined) {
      expanded.push(token);
      continue;
    }
    inserts.push({ start: expanded.length, input });
    for (let row = 0; row < input.count; row++) expanded.push(token);
  }
  for (const kind of new Set(kinds.values())) {
    const [given, wanted] = [media.filter((each) => each.kind === kind).length, found.get(kind) ?? 0];
    if (given !== wanted) refuseRequest('prompt', `a place for each ${kind} (${given})`, `${wanted} of them`);
  }
  return { tokens: Int32Array.from(expanded), inserts };
}
