import type { SamplerOptions } from '../native/index.js';
import { type Batch, type BatchEntry, kindOf, type StepSequence } from '../scheduler/batch.js';
import type { Sequence } from '../scheduler/sequence.js';
import type { ModelRunner } from './model-runner.js';

/** As far as a model that is right four times of five is worth asking. How far pays is measured. */
export const DEFAULT_DRAFT_TOKENS = 6;
/** Tokens of one step that catch up with sequences; those of longer prompts wait for the next. */
export const MAX_CATCH_UP = 256;
/** A sequence whose guesses were all right brings the last of them, and the token that came after it. */
const STEADY_LEN = 2;

/** What a draft model says of a step's entries. */
export interface Guesses {
  /** By entry. */
  readonly drafts: ReadonlyArray<readonly number[]>;
  /** Steps of the model, one after another. */
  readonly passes: number;
  /** It had nothing else to compute than the newest tokens and its guesses. */
  readonly isSteady: boolean;
}

/** A sequence as the draft model has seen it. */
class Follower implements StepSequence {
  /** The sequence's tokens, then guesses. */
  readonly tokens: number[];
  /** How many of those are the sequence's. */
  knownLen: number;
  /** Leading tokens whose keys and values the draft model has in the sequence's blocks. */
  cachedLen = 0;
  /** Leading blocks whose content is noted. */
  notedBlocks = 0;
  /** Of the sequence, when it was given the blocks that it has. */
  preemptions = -1;

  constructor(readonly sequence: Sequence) {
    this.tokens = [...sequence.tokens];
    this.knownLen = this.tokens.length;
  }

  /** It sees words only: of a sequence with others nothing is asked. */
  readonly inserts = [];

  get promptLen(): number {
    return this.sequence.promptLen;
  }

  get blockTable(): Sequence['blockTable'] {
    return this.sequence.blockTable;
  }
}

/**
 * A smaller model of the same vocabulary that guesses what follows. Its KV cache has as many blocks as the target's, and a
 * sequence's are the same in both: so whatever the scheduler grants, shares, evicts or takes back holds for both. It computes
 * a sequence's tokens when it is first asked about them, and what it misses or has in vain makes guesses worse, never answers.
 *
 * It draws as the target will: with the sequence's own options and seed. Where two distributions are alike, the same random
 * number mostly chooses the same token of both. (Daliri, Musco and Suresh, "Coupling without communication and
 * drafter-invariant speculative decoding", 2024, on why the drafter then leaves no trace in what the target draws.)
 */
export class DraftModel {
  readonly #followers = new Map<Sequence, Follower>();
  /** By block: the digest of the content whose keys and values the draft model has there. */
  readonly #held: (string | undefined)[] = [];

  /** @param vocabSize of the target, whose logits may be wider or narrower than the draft model's: both are padded. */
  constructor(
    readonly runner: ModelRunner,
    private readonly vocabSize: number,
  ) {}

  /** @throws what the engine says of the sampler's options */
  addSequence(sequence: Sequence, { grammar: _, maxTokens: __, ...options }: SamplerOptions): void {
    const { vocabSize } = this.runner.config;
    const follower = new Follower(sequence);
    const logitBias = options.logitBias.filter(([token]) => token < vocabSize);
    const endTokens = options.endTokens?.filter((token) => token < vocabSize);
    this.runner.addSequence(follower, {
      ...options,
      logitBias,
      ...(endTokens && { endTokens }),
      topLogprobs: -1,
    });
    this.#followers.set(sequence, follower);
  }

  removeSequence(sequence: Sequence): void {
    const follower = this.#followers.get(sequence);
    this.#followers.delete(sequence);
    if (follower) this.runner.removeSequence(follower);
  }

  /** For each entry of a step as many tokens that may follow as it has room for, or fewer. */
  async guess({ entries }: Batch): Promise<Guesses> {
    const drafts = entries.map((): number[] => []);
    const places = entries.flatMap(({ sequence, room = 0 }, index) => {
      const follower = room > 0 && sequence.inserts.length === 0 ? this.#followers.get(sequence) : undefined;
      if (!follower) return [];
      this.#follow(follower);
      const { length } = follower.tokens;
      const most = Math.min(room, this.runner.config.maxPositionEmbeddings - length);
      return most > 0 && this.#knows(follower) ? [{ follower, most, into: drafts[index] as number[] }] : [];
    });
    let [passes, budget, isSteady] = [0, MAX_CATCH_UP, true];
    let going = places;
    while (going.length > 0) {
      const step = going.flatMap(({ follower }): BatchEntry<Follower>[] => {
        const { tokens, cachedLen: start } = follower;
        const count = Math.min(tokens.length - start, budget);
        isSteady &&= passes > 0 || count <= STEADY_LEN;
        if (passes === 0) budget -= count;
        return count > 0
          ? [{ sequence: follower, start, count, sample: start + count === tokens.length }]
          : [];
      });
      const chosen = await this.#run(step);
      going = going.filter(({ follower, most, into }) => {
        const token = chosen.get(follower);
        if (token === undefined) return false;
        into.push(token);
        follower.tokens.push(token);
        return into.length < most && token < this.runner.config.vocabSize;
      });
      budget = Number.POSITIVE_INFINITY;
      passes++;
    }
    return { drafts, passes, isSteady };
  }

  dispose(): void {
    this.runner.dispose();
  }

  /** Computes a step. Returns the tokens that the target knows, of those that sample. */
  async #run(entries: readonly BatchEntry<Follower>[]): Promise<Map<Follower, number>> {
    for (const { sequence, start, count } of entries) this.#forget(sequence, start, start + count);
    const { tokens } = await this.runner.run({ kind: kindOf(entries), entries });
    const chosen = new Map<Follower, number>();
    for (const [index, { sequence, count }] of entries.entries()) {
      sequence.cachedLen += count;
      const token = tokens[index] as number;
      if (token >= 0 && token < this.vocabSize) chosen.set(sequence, token);
    }
    return chosen;
  }

  /** Takes in what became of a sequence since it was last asked about. */
  #follow(follower: Follower): void {
    const { sequence, tokens } = follower;
    if (follower.preemptions !== sequence.preemptions) {
      follower.preemptions = sequence.preemptions;
      follower.cachedLen = this.#reusedLen(sequence);
      follower.notedBlocks = 0;
    }
    let same = follower.knownLen;
    while (same < tokens.length && tokens[same] === sequence.tokens[same]) same++;
    const added = sequence.tokens.slice(same);
    this.runner.correctSequence(follower, tokens.splice(same), added);
    tokens.push(...added);
    follower.knownLen = tokens.length;
    follower.cachedLen = Math.min(follower.cachedLen, same);
    this.#note(follower);
  }

  /** Leading tokens whose keys and values are in blocks that the sequence found in the cache. */
  #reusedLen({ reusedLen, blockTable: { blocks, digests } }: Sequence): number {
    const { blockSize, prefixes } = this.runner;
    if (prefixes.dependOnPromptLen) return 0;
    let index = 0;
    while (index * blockSize < reusedLen && this.#held[blocks[index] as number] === digests[index]) index++;
    return index * blockSize;
  }

  /** Full blocks hold what they hold from now on, as far as somebody has asked for their digests. */
  #note(follower: Follower): void {
    const { blocks, digests } = follower.blockTable;
    const full = Math.floor(follower.cachedLen / this.runner.blockSize);
    for (; follower.notedBlocks < full; follower.notedBlocks++) {
      const digest = digests[follower.notedBlocks];
      if (digest === undefined) return;
      this.#held[blocks[follower.notedBlocks] as number] = digest;
    }
  }

  /** Blocks that are about to be written. */
  #forget({ blockTable: { blocks } }: Follower, start: number, end: number): void {
    const { blockSize } = this.runner;
    for (let index = Math.floor(start / blockSize); index * blockSize < end; index++)
      this.#held[blocks[index] as number] = undefined;
  }

  #knows({ tokens, cachedLen }: Follower): boolean {
    const { vocabSize } = this.runner.config;
    return tokens.every((token, index) => index < cachedLen || token < vocabSize);
  }
}
