import { refuseRequest } from '../errors.js';
import type { EncoderInput, ExpandedPrompt, Insert } from './insert.js';
import type { MediaKind, MediaPiece, MediaProcessor } from './processor.js';

/** One thing of a prompt, as its processor has made it ready. */
export interface ProcessedMedia {
  readonly kind: MediaKind;
  readonly pieces: readonly MediaPiece[];
}

/**
 * Expands the placeholders of a prompt: the first with a token stands for the first thing of those kinds that have it, and
 * so on. Each row that an encoder gives takes the placeholder's id, or that which its kind has for rows.
 * @throws REQUEST_INVALID when there are not as many placeholders as things
 */
export function placeInserts(
  tokens: ArrayLike<number>,
  media: readonly ProcessedMedia[],
  processor: Pick<MediaProcessor, 'placeholders' | 'rowTokens' | 'around' | 'joins' | 'asOne' | 'placed'>,
): ExpandedPrompt {
  const { placeholders, rowTokens = {}, around = {} } = processor;
  const lines = linesOf(media, placeholders);
  const expanded: number[] = [];
  const inserts: Insert[] = [];
  const given = Array.from(tokens);
  /** Whether words that come next meet words of something else. */
  let isSeam = false;
  const add = (ids: readonly number[]): void => {
    const [last, first] = [expanded.at(-1), ids[0]];
    const meet = isSeam && last !== undefined && first !== undefined;
    const joined = meet ? processor.joins?.(last, first) : undefined;
    if (joined) expanded.splice(-1, 1, ...joined);
    for (const id of joined ? ids.slice(1) : ids) expanded.push(id);
    isSeam = false;
  };
  for (let at = 0; at < given.length; at++) {
    const token = given[at] as number;
    const thing = lines.get(token)?.next();
    if (thing === undefined) {
      add([token]);
      continue;
    }
    const { kind, pieces } = thing;
    const [before, behind] = around[kind] ?? [];
    if (before !== undefined && expanded.at(-1) === before && given[at + 1] === behind) {
      expanded.pop();
      at++;
    }
    isSeam = true;
    for (const piece of pieces) {
      if ('data' in piece) inserts.push({ start: expanded.length, input: piece });
      add('data' in piece ? rowIdsOf(piece, rowTokens[kind] ?? token) : piece);
    }
    isSeam = true;
  }
  for (const { kinds, things, places } of lines.values()) {
    if (things.length !== places)
      refuseRequest(
        'prompt',
        `a place for each ${kinds.join(' and ')} (${things.length})`,
        `${places} of them`,
      );
  }
  const prompt = { tokens: Int32Array.from(expanded), inserts };
  if (inserts.length === 0) return prompt;
  const whole = processor.asOne?.(prompt) ?? prompt;
  return processor.placed?.(whole) ?? whole;
}

/** The ids of what an encoder gives rows for. */
const rowIdsOf = ({ tokens, count, ahead = 0 }: EncoderInput, token: number): number[] =>
  tokens ? Array.from(tokens) : Array<number>(count - ahead).fill(token);

/** Things that the same token stands for, in their order. */
class Line {
  readonly kinds: MediaKind[] = [];
  readonly things: ProcessedMedia[] = [];
  places = 0;

  /** What the next place is for; undefined where there are more of them than things. */
  next(): ProcessedMedia | undefined {
    return this.things[this.places++];
  }
}

/** What waits for its place, by the tokens that stand for it. */
function linesOf(
  media: readonly ProcessedMedia[],
  placeholders: MediaProcessor['placeholders'],
): ReadonlyMap<number, Line> {
  const lines = new Map<number, Line>();
  for (const [kind, token] of Object.entries(placeholders)) {
    const line = lines.get(token) ?? new Line();
    line.kinds.push(kind as MediaKind);
    lines.set(token, line);
  }
  for (const thing of media) lines.get(placeholders[thing.kind] ?? -1)?.things.push(thing);
  return lines;
}
