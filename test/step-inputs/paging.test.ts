import { expect } from 'chai';
import { AtbError } from '../../src/errors.js';
import { PREFILL, SPLITFUSE } from '../../src/graph/graph-kind.js';
import { paging, type Step } from '../../src/step-inputs/index.js';

const RUN = { dtype: 'bf16', blockSize: 4, numBlocks: 10, maxPositionEmbeddings: 64 } as const;

/** Two sequences: one brings its tokens 3 to 5, the other all of its two. */
function step(changes: Partial<Step> = {}): Step {
  return {
    kind: SPLITFUSE,
    tokenIds: Int32Array.of(7, 7, 7, 7, 7),
    positions: Int32Array.of(3, 4, 5, 0, 1),
    queryLens: Int32Array.of(3, 2),
    seqLens: Int32Array.of(6, 2),
    promptLens: Int32Array.of(6, 2),
    blockTables: [[8, 2], [5]],
    headRows: Int32Array.of(2, 4),
    ...changes,
  };
}

const made = (changes?: Partial<Step>) => paging.make?.(step(changes), RUN);

function refusal(changes: Partial<Step>): string {
  try {
    made(changes);
  } catch (error) {
    expect(error).to.be.instanceOf(AtbError).with.property('code', 'REQUEST_INVALID');
    return (error as AtbError).message;
  }
  throw new Error('nothing was thrown');
}

describe('block tables and slots', () => {
  it('are made of each sequence, and tables are padded to one width', () => {
    const { block_tables, slots_mapping } = made() ?? {};
    expect(block_tables?.shape).to.deep.equal([2, 2]);
    expect([...(block_tables?.data ?? [])]).to.deep.equal([8, 2, 5, 0]);
    expect([...(slots_mapping?.data ?? [])]).to.deep.equal([35, 8, 9, 20, 21]);
  });

  it('go by places in the sequence, not by positions, which pictures share', () => {
    const { slots_mapping } = made({ positions: Int32Array.of(3, 3, 3, 0, 0) }) ?? {};
    expect([...(slots_mapping?.data ?? [])]).to.deep.equal([35, 8, 9, 20, 21]);
  });

  it('widen by powers of two, so that plans are kept', () => {
    const tables = [[1, 2, 3], [5]];
    const { block_tables } = made({ seqLens: Int32Array.of(9, 2), blockTables: tables }) ?? {};
    expect(block_tables?.shape).to.deep.equal([2, 4]);
  });

  it('refuse a table that is too short for its sequence', () => {
    expect(refusal({ blockTables: [[8], [5]] })).to.match(
      /blockTables must be at least 2 blocks of 4 for the 6 tokens of sequence 0, found 1/,
    );
    expect(refusal({ blockTables: [[8, 2], []] })).to.match(/1 blocks of 4 for the 2 tokens of sequence 1/);
  });

  it('refuse more or fewer tables than sequences', () => {
    expect(refusal({ blockTables: [[8, 2]] })).to.match(/one table for each of the 2 sequences, found 1/);
    expect(refusal({ blockTables: [[8, 2], [5], [6]] })).to.match(/found 3/);
  });

  it('refuse blocks that do not exist', () => {
    for (const block of [-1, 10, 1.5, Number.NaN]) {
      expect(refusal({ blockTables: [[8, block], [5]] })).to.match(
        /blocks from 0 to 9 for sequence 0, found/,
      );
    }
  });

  it('refuse slots that contradict the tables', () => {
    const right = Int32Array.of(35, 8, 9, 20, 21);
    expect(made({ slots: right })).to.deep.equal(made());
    expect(refusal({ slots: right.with(3, 24) })).to.match(/slots must be 20 for token 3.*found 24/);
    expect(refusal({ slots: right.slice(1) })).to.match(/one for each of the 5 tokens, found 4/);
  });

  it('hold for prompts, too, whose attention may read the cache', () => {
    const prompt = { kind: PREFILL, queryLens: Int32Array.of(6, 2), tokenIds: new Int32Array(8) };
    expect(refusal({ ...prompt, blockTables: [[], []] })).to.match(/at least 2 blocks/);
  });
});
