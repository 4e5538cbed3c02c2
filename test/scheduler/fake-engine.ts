import type { BlockManager } from '../../src/kv-cache/block-manager.js';
import type { Batch, NewTokens } from '../../src/scheduler/batch.js';
import type { Sequence } from '../../src/scheduler/sequence.js';

/** A hash of tokens that goes on from token to token. */
const hashed = (hash: number, token: number): number => Math.imul(hash ^ token, 16777619) >>> 0;
const NOTHING = 2166136261;

/** The rule by which tokens follow: a hash of all tokens before, as a model's next token depends on all of them. */
export function nextToken(tokens: readonly number[], vocabulary = 1000): number {
  return tokens.reduce(hashed, NOTHING) % vocabulary;
}

/**
 * A small real engine: a cache of slots that it writes and reads through block tables. What a slot holds depends on all
 * tokens up to its own, as keys and values do. It fails when a step reads a slot that does not hold what the sequence
 * itself would have put there, so wrong tables, early frees, skipped tokens and false hits all show.
 */
export class FakeEngine {
  /** By slot: the hash of all tokens up to the one in it. */
  readonly #slots: (number | undefined)[];
  computedTokens = 0;

  constructor(
    readonly blocks: Pick<BlockManager, 'numBlocks' | 'blockSize'>,
    readonly vocabulary = 1000,
  ) {
    this.#slots = new Array(blocks.numBlocks * blocks.blockSize);
  }

  run(batch: Batch): NewTokens[] {
    const { blockSize } = this.blocks;
    for (const [index, to] of (batch.copies ?? []).entries()) {
      if (index % 2 === 0) continue;
      const from = (batch.copies?.[index - 1] as number) * blockSize;
      this.#slots.splice(to * blockSize, blockSize, ...this.#slots.slice(from, from + blockSize));
    }
    for (const { sequence, start, count, drafts = [] } of batch.entries) {
      const tokens = [...sequence.tokens, ...drafts];
      this.computedTokens += count;
      let hash = NOTHING;
      for (let position = 0; position < start + count; position++) {
        hash = hashed(hash, tokens[position] as number);
        if (position >= start) this.#slots[this.#slotOf(sequence, position)] = hash;
      }
    }
    return batch.entries.map(({ sequence, start, count, sample, drafts = [] }) => {
      const tokens = [...sequence.tokens, ...drafts];
      const fresh: number[] = [];
      let hash = NOTHING;
      for (let position = 0; position < start + count; position++) {
        hash = hashed(hash, tokens[position] as number);
        if (this.#slots[this.#slotOf(sequence, position)] !== hash)
          throw new Error(`sequence ${sequence.id} reads a slot of position ${position} that is not its own`);
        if (position < start + count - 1 - drafts.length) continue;
        // From here on each position gives a token, as long as it is the one that was guessed.
        fresh.push(hash % this.vocabulary);
        if (fresh.at(-1) !== drafts[fresh.length - 1]) break;
      }
      if (!sample) return -1;
      return drafts.length > 0 ? fresh : (fresh[0] as number);
    });
  }

  #slotOf({ id, blockTable }: Sequence, position: number): number {
    const { blockSize } = this.blocks;
    const block = blockTable.blocks[Math.floor(position / blockSize)];
    if (block === undefined) throw new Error(`position ${position} of sequence ${id} is beyond its blocks`);
    return block * blockSize + (position % blockSize);
  }
}

/** What a sequence generates when it runs alone. */
export function tokensAlone(prompt: readonly number[], maxTokens: number, vocabulary = 1000): number[] {
  const tokens = [...prompt];
  for (let i = 0; i < maxTokens; i++) tokens.push(nextToken(tokens, vocabulary));
  return tokens.slice(prompt.length);
}
