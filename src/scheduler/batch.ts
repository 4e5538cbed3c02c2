import { DECODE, type GraphKind, PREFILL, SPLITFUSE } from '../graph/graph-kind.js';
import { type Insert, insertsWithin } from '../media/index.js';
import type { Sequence } from './sequence.js';

/** Tokens `[start, start + count)` of a sequence. */
export interface BatchEntry {
  readonly sequence: Sequence;
  readonly start: number;
  readonly count: number;
  /** Its last token's logits choose the next token; false for a chunk that is not the prompt's last. */
  readonly sample: boolean;
  /** The logits of all its tokens are wanted, because they say how likely the prompt's next ones are. */
  readonly scores?: boolean;
  /** Tokens that are guessed to follow: the last of its `count`. All that the step says of them is verified. */
  readonly drafts?: readonly number[];
  /** What the model's encoder makes rows of first, because the tokens are part of it. */
  readonly encodes?: readonly Insert[];
}

/** What a step says of an entry that samples: its next token, or of one with drafts all tokens that follow. */
export type NewTokens = number | readonly number[];

/** One step. Blocks for every entry's tokens are in its sequence's table. */
export interface Batch {
  /** The graph that computes it. */
  readonly kind: GraphKind;
  readonly entries: readonly BatchEntry[];
}

/** The newest token of a sequence that decodes, and guesses of those after it. */
export function decodeEntryOf(sequence: Sequence, drafts: readonly number[]): BatchEntry {
  const { cachedLen: start } = sequence;
  return { sequence, start, count: 1 + drafts.length, sample: true, ...(drafts.length > 0 && { drafts }) };
}

/** The next `count` tokens of a sequence; `encodes` says what they are part of and nobody holds rows of. */
export function entryOf(sequence: Sequence, count: number, encodes: readonly Insert[]): BatchEntry {
  const { cachedLen, promptLen, remainingLen, scoresPrompt } = sequence;
  const scores = scoresPrompt && cachedLen < promptLen - 1;
  return {
    sequence,
    start: cachedLen,
    count,
    sample: count === remainingLen,
    scores,
    ...(encodes.length > 0 && { encodes }),
  };
}

/** Split-fuse where a prompt is cut into chunks, or somebody decodes beside it. */
export function kindOf(entries: readonly BatchEntry[]): GraphKind {
  if (entries.every(({ start, sample }) => start === 0 && sample)) return PREFILL;
  return entries.every((entry) => entry.count === 1 && entry.sample && !isInserted(entry))
    ? DECODE
    : SPLITFUSE;
}

/** Whether a token of it has an embedding that is no word's, which decode does not know. */
const isInserted = ({ sequence, start, count }: BatchEntry): boolean =>
  insertsWithin(sequence.inserts, start, count).length > 0;
