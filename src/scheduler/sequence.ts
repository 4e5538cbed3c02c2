import { BlockTable } from '../kv-cache/block-manager.js';
import { endOf, type Insert, insertsWithin } from '../media/index.js';
import { NUMBER, OBJECT, requireArgument, TOKEN_IDS, whole } from '../require-argument.js';

/**
 * Why a sequence ended. `stop`: an end-of-sequence token, a stop token or a stop string. `length`: `maxTokens` reached.
 * `abort`: the caller gave up. `error`: its logits were not finite, or its step failed.
 */
export type FinishReason = 'stop' | 'length' | 'abort' | 'error';

/** A preempted sequence is `waiting` again; its `preemptions` tell. */
export type SequenceStatus = 'waiting' | 'running' | 'finished';

export interface SequenceOptions {
  /** The caller's number for it. */
  readonly id: number;
  /** At least one token. */
  readonly promptTokens: ArrayLike<number>;
  /** New tokens at most, at least 1. */
  readonly maxTokens: number;
  /** Whose request it is: among those of one rank, clients are served alike. */
  readonly client?: string | undefined;
  /** With the policy `priority`: lower numbers first; 0 when absent. */
  readonly priority?: number | undefined;
  /** On the clock that the scheduler is asked with; none when absent. */
  readonly deadlineMs?: number | undefined;
  /** Sequences of different salts share no blocks of the cache. */
  readonly cacheSalt?: string | undefined;
  /** Its prompt's tokens are scored: it finds nothing in the cache, because whatever is found is not computed. */
  readonly scoresPrompt?: boolean | undefined;
  /** Tokens of one step at most. */
  readonly maxChunkLen?: number | undefined;
  /** What stands in the prompt that is no text, in order; nothing when absent. */
  readonly inserts?: readonly Insert[] | undefined;
  /** Its LoRA adapter, by its place among those of the run; none when absent. */
  readonly adapter?: number | undefined;
  /** Its blocks stay when it has ended, for those that follow it, until they are released or somebody lacks room. */
  readonly keepsBlocks?: boolean | undefined;
  /** One that has ended and whose tokens this one's begin with: it goes on in its blocks while they are kept. */
  readonly follows?: Sequence | undefined;
}

/** One request being run. The scheduler changes it, everybody else reads. */
export class Sequence {
  readonly id: number;
  readonly promptLen: number;
  readonly maxTokens: number;
  /** The prompt and what was generated so far. */
  readonly tokens: number[];
  readonly client: string;
  readonly priority: number;
  readonly deadlineMs: number;
  readonly scoresPrompt: boolean;
  readonly maxChunkLen: number;
  readonly blockTable: BlockTable;
  readonly inserts: readonly Insert[];
  readonly adapter: number | undefined;
  readonly keepsBlocks: boolean;
  readonly follows: Sequence | undefined;
  /** Those of which the runner holds the rows that their tokens need: until the last of these is in the cache. */
  readonly encoded = new Set<Insert>();
  /** Its place among others, smaller first; the policy's. */
  rank = 0;
  /** Among those of one rank. */
  arrival = 0;
  /** Leading tokens whose keys and values it found in the cache when it last started. */
  reusedLen = 0;
  /** Leading tokens whose keys and values are in the cache; 0 after a preemption. */
  cachedLen = 0;
  /** Tokens of the step in flight; 0 between steps. */
  scheduledLen = 0;
  status: SequenceStatus = 'waiting';
  finishReason: FinishReason | undefined;
  preemptions = 0;

  constructor(options: SequenceOptions) {
    requireArgument('new Sequence', 'the options', OBJECT, options);
    requireArgument('new Sequence', 'id', whole(0), options.id);
    requireArgument('new Sequence', 'promptTokens', TOKEN_IDS, options.promptTokens);
    requireArgument('new Sequence', 'maxTokens', NUMBER, options.maxTokens);
    const {
      id,
      promptTokens,
      maxTokens,
      client = '',
      priority = 0,
      deadlineMs = Infinity,
      cacheSalt,
      inserts = [],
    } = options;
    this.id = id;
    this.tokens = Array.from(promptTokens);
    this.promptLen = this.tokens.length;
    this.maxTokens = maxTokens;
    this.client = client;
    this.priority = priority;
    this.deadlineMs = deadlineMs;
    this.scoresPrompt = options.scoresPrompt ?? false;
    this.maxChunkLen = options.maxChunkLen ?? Number.POSITIVE_INFINITY;
    this.inserts = inserts;
    this.adapter = options.adapter;
    this.keepsBlocks = options.keepsBlocks ?? false;
    this.follows = options.follows;
    this.blockTable = new BlockTable(cacheSalt, inserts);
  }

  /** Whether it holds blocks, or did and came to its end. */
  get hasStarted(): boolean {
    return this.status !== 'waiting' || this.blockTable.blocks.length > 0;
  }

  get outputLen(): number {
    return this.tokens.length - this.promptLen;
  }

  get outputTokens(): number[] {
    return this.tokens.slice(this.promptLen);
  }

  /** Tokens whose keys and values are not in the cache yet; 1 for a sequence that decodes. */
  get remainingLen(): number {
    return this.tokens.length - this.cachedLen;
  }

  /** Tokens that the cache ever holds for it: the last new token's keys and values are never needed. */
  get maxCachedLen(): number {
    return this.promptLen + this.maxTokens - 1;
  }
}

/** The order in which sequences start and keep what they hold. */
export function compareRank(a: Sequence, b: Sequence): number {
  return a.rank - b.rank || a.arrival - b.arrival;
}

/** Puts a sequence into its place among others. */
export function insertByRank(sequences: Sequence[], sequence: Sequence): void {
  sequences.splice(sequences.findLastIndex((other) => compareRank(other, sequence) < 0) + 1, 0, sequence);
}

/** Asked anew after foreign code ran, which the type checker does not know of. */
export function isFinished({ status }: Sequence): boolean {
  return status === 'finished';
}

/** Of a sequence that runs: everything but the newest token, which is a word, is in the cache. */
export function isDecoding({ remainingLen, inserts, cachedLen }: Sequence): boolean {
  return remainingLen === 1 && insertsWithin(inserts, cachedLen, 1).length === 0;
}

/** Takes in what a step has encoded, and that nobody needs the rows of what is wholly in the cache. */
export function settleEncoded(sequence: Sequence, encodes: readonly Insert[] = []): void {
  for (const insert of encodes) sequence.encoded.add(insert);
  for (const insert of sequence.encoded)
    if (endOf(insert) <= sequence.cachedLen) sequence.encoded.delete(insert);
}

/** Takes in that it has given its blocks back: nothing of it is computed any more. */
export function settlePreempted(sequence: Sequence): void {
  sequence.status = 'waiting';
  sequence.cachedLen = 0;
  sequence.encoded.clear();
  sequence.preemptions++;
}
