import assert from 'node:assert/strict';
import { DECODE, type GraphKind, PREFILL, SPLITFUSE } from '../graph/graph-kind.js';
import { type Insert, insertsWithin } from '../media/index.js';
import type { Sequence } from './sequence.js';

/** What computing a step reads of a sequence. */
export interface StepSequence {
  readonly tokens: readonly number[];
  readonly promptLen: number;
  readonly blockTable: { readonly blocks: readonly number[] };
  readonly inserts: readonly Insert[];
  /** Its LoRA adapter, by its place among those of the run; none when absent. */
  readonly adapter?: number | undefined;
}

/** Tokens `[start, start + count)` of a sequence. */
export interface BatchEntry<S extends StepSequence = Sequence> {
  readonly sequence: S;
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
  /** Tokens that a draft model may guess to follow, before the step is computed; there are blocks for them. */
  readonly room?: number;
}

/** What a step says of an entry that samples: its next token, or of one with drafts all tokens that follow. */
export type NewTokens = number | readonly number[];

/** One step. Blocks for every entry's tokens are in its sequence's table. */
export interface Batch<S extends StepSequence = Sequence> {
  /** The graph that computes it. */
  readonly kind: GraphKind;
  readonly entries: readonly BatchEntry<S>[];
  /** Blocks of the cache to copy before it is computed: from, to, from, to, …. None when absent. */
  readonly copies?: readonly number[];
}

/** A step of these entries, which are in flight from now on. */
export function batchOf(entries: readonly BatchEntry[], copies: readonly number[] = []): Batch {
  for (const { sequence, count } of entries) sequence.scheduledLen = count;
  return { kind: kindOf(entries), entries, ...(copies.length > 0 && { copies }) };
}

/** The newest token of a sequence that decodes, and guesses of those after it. */
export function decodeEntryOf(sequence: Sequence, drafts: readonly number[]): BatchEntry {
  const { cachedLen: start } = sequence;
  return { sequence, start, count: 1 + drafts.length, sample: true, ...(drafts.length > 0 && { drafts }) };
}

/** An entry with what a draft model guessed. */
export function withDrafts(entry: BatchEntry, drafts: readonly number[]): BatchEntry {
  assert(drafts.length <= (entry.room ?? 0), 'more guesses than there is room for');
  return drafts.length > 0 ? decodeEntryOf(entry.sequence, drafts) : entry;
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
export function kindOf(entries: readonly BatchEntry<StepSequence>[]): GraphKind {
  if (entries.every(({ start, sample }) => start === 0 && sample)) return PREFILL;
  return entries.every((entry) => entry.count === 1 && entry.sample && !isInserted(entry))
    ? DECODE
    : SPLITFUSE;
}

/** Whether a token of it has an embedding that is no word's, which decode does not know. */
const isInserted = ({ sequence, start, count }: BatchEntry<StepSequence>): boolean =>
  insertsWithin(sequence.inserts, start, count).length > 0;
