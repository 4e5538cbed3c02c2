import { expect } from 'chai';
import fc from 'fast-check';
import { BlockManager, BlockTable } from '../../src/kv-cache/block-manager.js';
import { PrefixIndex } from '../../src/kv-cache/prefix-index.js';

/** The specification: nothing is counted, everything is derived from who holds what. */
class ReferenceModel {
  readonly held = new Set<BlockTable>();
  constructor(
    readonly numBlocks: number,
    readonly blockSize: number,
  ) {}

  used(): number {
    return new Set([...this.held].flatMap((table) => table.blocks)).size;
  }

  free(): number {
    return this.numBlocks - this.used();
  }
}

type Step = { do: 'grow'; table: number; tokens: number } | { do: 'release'; table: number };

const index = fc.nat({ max: 11 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('grow' as const), table: index, tokens: fc.nat({ max: 40 }) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('release' as const), table: index }) },
);

function check(manager: BlockManager, model: ReferenceModel): void {
  const owned = [...model.held].flatMap((table) => table.blocks);
  if (new Set(owned).size !== owned.length) throw new Error('a block is in two places');
  if (owned.some((block) => block < 0 || block >= manager.numBlocks)) throw new Error('no such block');
  if (manager.freeBlocks !== model.free()) throw new Error(`free ${manager.freeBlocks}, not ${model.free()}`);
  if (manager.freeBlocks < 0) throw new Error('free blocks are negative');
  if (manager.freeBlocks + manager.usedBlocks !== manager.numBlocks) {
    throw new Error('the counts do not add up');
  }
}

describe('BlockManager', () => {
  it('gives blocks on demand and only for tokens that lack one', () => {
    const manager = new BlockManager({ numBlocks: 4, blockSize: 32 });
    const table = new BlockTable();
    expect(manager.grow(table, 32)).to.equal(true);
    expect(table.blocks).to.have.length(1);
    expect(manager.grow(table, 33)).to.equal(true);
    expect(table.blocks).to.have.length(2);
    expect(manager.grow(table, 5)).to.equal(true);
    expect(table.blocks).to.have.length(2);
    expect(manager.freeBlocks).to.equal(2);
  });

  it('changes nothing when there are too few blocks', () => {
    const manager = new BlockManager({ numBlocks: 3, blockSize: 32 });
    const table = new BlockTable();
    expect(manager.grow(table, 4 * 32)).to.equal(false);
    expect(table.blocks).to.deep.equal([]);
    expect(manager.freeBlocks).to.equal(3);
  });

  it('takes back what a table holds, once', () => {
    const manager = new BlockManager({ numBlocks: 4, blockSize: 4 });
    const table = new BlockTable();
    manager.grow(table, 10);
    const copy = new BlockTable();
    copy.blocks.push(...table.blocks);
    manager.release(table);
    expect([manager.freeBlocks, manager.usedBlocks, table.blocks]).to.deep.equal([4, 0, []]);
    expect(() => manager.release(copy)).to.throw(/is nobody's/);
  });

  it('gives a sequence consecutive ids, also while others grow beside it', () => {
    const manager = new BlockManager({ numBlocks: 64, blockSize: 4 });
    const tables = Array.from({ length: 4 }, () => new BlockTable());
    for (const table of tables) manager.grow(table, 8);
    for (let tokens = 9; tokens <= 32; tokens++) for (const table of tables) manager.grow(table, tokens);
    for (const { blocks } of tables) {
      const first = blocks[0] as number;
      expect(blocks).to.deep.equal(Array.from({ length: 8 }, (_, index) => first + index));
    }
    manager.release(tables[1] as BlockTable);
    manager.release(tables[0] as BlockTable);
    const long = new BlockTable();
    manager.grow(long, 4 * 4);
    expect(long.blocks.map((block, index) => block - index)).to.deep.equal(Array(4).fill(long.blocks[0]));
  });

  it('gives the longest runs of ids where no run is long enough', () => {
    const manager = new BlockManager({ numBlocks: 10, blockSize: 1 });
    const tables = Array.from({ length: 10 }, () => new BlockTable());
    for (const table of tables) manager.grow(table, 1);
    const holders = new Map(tables.map((table) => [table.blocks[0] as number, table]));
    for (const block of [1, 4, 5, 6, 8]) manager.release(holders.get(block) as BlockTable);
    const table = new BlockTable();
    expect(manager.grow(table, 5)).to.equal(true);
    expect(table.blocks).to.deep.equal([4, 5, 6, 1, 8]);
    expect(manager.grow(table, 6)).to.equal(false);
  });

  it('finds published blocks by their content, and keeps them when nobody holds them', () => {
    const manager = new BlockManager({ numBlocks: 4, blockSize: 2 });
    const tokens = [1, 2, 3, 4, 5];
    const [first, second] = [new BlockTable(), new BlockTable()];
    manager.grow(first, 5);
    manager.publish(first, tokens, 3);
    expect(manager.publishedBlocks).to.equal(1);
    manager.publish(first, tokens, 5);
    expect(manager.reuse(second, [1, 2, 3, 4, 9])).to.equal(4);
    expect(second.blocks).to.deep.equal(first.blocks.slice(0, 2));
    expect([manager.usedBlocks, manager.freeBlocks]).to.deep.equal([3, 1]);
    manager.release(first);
    expect([manager.usedBlocks, manager.freeBlocks]).to.deep.equal([2, 2]);
    manager.release(second);
    expect([manager.usedBlocks, manager.publishedBlocks]).to.deep.equal([0, 2]);
    expect(manager.reuse(second, [1, 2, 3, 4, 9])).to.equal(4);
    expect(manager.reuse(first, [1, 2, 9, 4, 5])).to.equal(2);
  });

  it('leaves at least one token to compute', () => {
    const manager = new BlockManager({ numBlocks: 4, blockSize: 2 });
    const table = new BlockTable();
    manager.grow(table, 4);
    manager.publish(table, [1, 2, 3, 4], 4);
    expect(manager.reuse(new BlockTable(), [1, 2, 3, 4])).to.equal(2);
  });

  it('shares nothing among different salts', () => {
    const manager = new BlockManager({ numBlocks: 4, blockSize: 2 });
    const table = new BlockTable('one');
    manager.grow(table, 2);
    manager.publish(table, [1, 2], 2);
    expect(manager.reuse(new BlockTable('two'), [1, 2, 3])).to.equal(0);
    expect(manager.reuse(new BlockTable('one'), [1, 2, 3])).to.equal(2);
  });

  it('gives up what was used least recently first, and the end of a text before its beginning', () => {
    const manager = new BlockManager({ numBlocks: 4, blockSize: 1 });
    const [old, young] = [new BlockTable(), new BlockTable()];
    for (const [table, tokens] of [
      [old, [1, 2]],
      [young, [3, 4]],
    ] as const) {
      manager.grow(table, 2);
      manager.publish(table, tokens, 2);
    }
    manager.release(old);
    manager.release(young);
    const other = new BlockTable();
    manager.grow(other, 1);
    const found = (...tokens: number[]): number => {
      const table = new BlockTable();
      const length = manager.reuse(table, tokens);
      manager.release(table);
      return length;
    };
    expect([found(1, 2, 9), found(3, 4, 9)]).to.deep.equal([1, 2]);
    manager.grow(other, 3);
    expect([found(1, 2, 9), found(3, 4, 9)]).to.deep.equal([0, 1]);
  });

  it('does not trust a digest: what it finds must be those very tokens', () => {
    const index = new PrefixIndex();
    index.add(7, 'digest', 'parent', Int32Array.of(1, 2));
    expect(index.find('digest', 'parent', Int32Array.of(1, 2))).to.equal(7);
    expect(index.find('digest', 'parent', Int32Array.of(1, 3))).to.equal(undefined);
    expect(index.find('digest', 'another', Int32Array.of(1, 2))).to.equal(undefined);
  });

  it('agrees with the reference model over 100,000 random operations', () => {
    let operations = 0;
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 24 }),
        fc.integer({ min: 1, max: 8 }),
        fc.array(step, { minLength: 200, maxLength: 320 }),
        (numBlocks, blockSize, steps) => {
          const manager = new BlockManager({ numBlocks, blockSize });
          const model = new ReferenceModel(numBlocks, blockSize);
          const tables = Array.from({ length: 8 }, () => new BlockTable());
          for (const table of tables) model.held.add(table);
          for (const s of steps) {
            operations++;
            const table = tables[s.table % tables.length] as BlockTable;
            const freeBefore = model.free();
            if (s.do === 'grow') {
              const missing = Math.max(0, Math.ceil(s.tokens / blockSize) - table.blocks.length);
              const grown = manager.grow(table, s.tokens);
              if (grown !== missing <= freeBefore) throw new Error('grow decided wrongly');
              if (grown && table.blocks.length * blockSize < s.tokens)
                throw new Error('grow gave too little');
              if (model.free() !== freeBefore - (grown ? missing : 0)) throw new Error('grow took too much');
            } else {
              manager.release(table);
              if (table.blocks.length !== 0) throw new Error('a released table holds blocks');
            }
            check(manager, model);
          }
        },
      ),
      { numRuns: 500, seed: 20 },
    );
    expect(operations).to.be.greaterThan(100_000);
  });
});
