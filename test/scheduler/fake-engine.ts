import type { BlockManager } from '../../src/kv-cache/block-manager.js';
import type { Batch } from '../../src/scheduler/scheduler.js';
import type { Sequence } from '../../src/scheduler/sequence.js';

/** The rule by which tokens follow: a hash of all tokens before, as a model's next token depends on all of them. */
export function nextToken(tokens: readonly number[]): number {
  let hash = 2166136261;
  for (const token of tokens) hash = Math.imul(hash ^ token, 16777619) >>> 0;
  return hash % 1000;
}

/**
 * A small real engine: a cache of slots that it writes and reads through block tables. It fails when a step reads a
 * slot that does not hold what the sequence put there, so wrong tables, early frees and skipped tokens all show.
 */
export class FakeEngine {
  readonly #slots: Array<{ sequence: Sequence; position: number; token: number } | undefined>;

  constructor(readonly blocks: Pick<BlockManager, 'numBlocks' | 'blockSize'>) {
    this.#slots = new Array(blocks.numBlocks * blocks.blockSize);
  }

  run(batch: Batch): number[] {
    for (const { sequence, start, count } of batch.entries) {
      for (let position = start; position < start + count; position++) {
        const token = sequence.tokens[position] as number;
        this.#slots[this.#slotOf(sequence, position)] = { sequence, position, token };
      }
    }
    return batch.entries.map(({ sequence, start, count, sample }) => {
      const seen: number[] = [];
      for (let position = 0; position < start + count; position++) {
        const slot = this.#slots[this.#slotOf(sequence, position)];
        if (slot?.sequence !== sequence || slot.position !== position) {
          throw new Error(`sequence ${sequence.id} reads a slot of position ${position} that is not its own`);
        }
        seen.push(slot.token);
      }
      return sample ? nextToken(seen) : -1;
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
export function tokensAlone(prompt: readonly number[], maxTokens: number): number[] {
  const tokens = [...prompt];
  for (let i = 0; i < maxTokens; i++) tokens.push(nextToken(tokens));
  return tokens.slice(prompt.length);
}
