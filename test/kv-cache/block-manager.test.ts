import { expect } from 'chai';
import fc from 'fast-check';
import { BlockManager, BlockTable, type Reservation } from '../../src/kv-cache/block-manager.js';

/** The specification: nothing is counted, everything is derived from who holds what. */
class ReferenceModel {
  readonly held = new Set<BlockTable>();
  readonly reserved = new Map<Reservation, number>();
  constructor(
    readonly numBlocks: number,
    readonly blockSize: number,
  ) {}

  used(): number {
    return new Set([...this.held].flatMap((table) => table.blocks)).size;
  }

  free(): number {
    return this.numBlocks - this.used() - [...this.reserved.values()].reduce((sum, count) => sum + count, 0);
  }
}

type Step =
  | { do: 'grow'; table: number; tokens: number }
  | { do: 'release'; table: number }
  | { do: 'fork'; table: number; tokens: number }
  | { do: 'reserve'; blocks: number }
  | { do: 'cancel'; reservation: number }
  | { do: 'draw'; table: number; reservation: number; tokens: number };

const index = fc.nat({ max: 11 });
const tokens = fc.nat({ max: 40 });
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant('grow' as const), table: index, tokens }),
  fc.record({ do: fc.constant('release' as const), table: index }),
  fc.record({ do: fc.constant('fork' as const), table: index, tokens }),
  fc.record({ do: fc.constant('reserve' as const), blocks: fc.nat({ max: 6 }) }),
  fc.record({ do: fc.constant('cancel' as const), reservation: index }),
  fc.record({ do: fc.constant('draw' as const), table: index, reservation: index, tokens }),
);

function check(manager: BlockManager, model: ReferenceModel): void {
  const owners = new Map<number, number>();
  for (const table of model.held) {
    if (new Set(table.blocks).size !== table.blocks.length) throw new Error('a table holds a block twice');
    for (const block of table.blocks) owners.set(block, (owners.get(block) ?? 0) + 1);
  }
  for (let block = 0; block < manager.numBlocks; block++) {
    if (manager.references(block) !== (owners.get(block) ?? 0)) throw new Error(`references of ${block}`);
  }
  if (manager.freeBlocks !== model.free()) throw new Error(`free ${manager.freeBlocks}, not ${model.free()}`);
  if (manager.freeBlocks < 0) throw new Error('free blocks are negative');
  if (manager.freeBlocks + manager.reservedBlocks + manager.usedBlocks !== manager.numBlocks) {
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

  it('maps a position to its slot through the table', () => {
    const manager = new BlockManager({ numBlocks: 4, blockSize: 32 });
    const first = new BlockTable();
    const second = new BlockTable();
    manager.grow(first, 32);
    manager.grow(second, 64);
    expect(manager.slot(second, 0)).to.equal((second.blocks[0] as number) * 32);
    expect(manager.slot(second, 33)).to.equal((second.blocks[1] as number) * 32 + 1);
    expect(() => manager.slot(second, 64)).to.throw(/beyond the table/);
  });

  it('shares full blocks between forks and frees them when the last holder lets go', () => {
    const manager = new BlockManager({ numBlocks: 4, blockSize: 4 });
    const table = new BlockTable();
    manager.grow(table, 10);
    const fork = manager.fork(table, 10);
    expect(fork.blocks).to.deep.equal(table.blocks.slice(0, 2));
    manager.release(table);
    expect(manager.freeBlocks).to.equal(2);
    manager.release(fork);
    expect(manager.freeBlocks).to.equal(4);
  });

  it('keeps reserved blocks from everybody else', () => {
    const manager = new BlockManager({ numBlocks: 4, blockSize: 4 });
    const reservation = manager.reserve(3);
    const table = new BlockTable();
    expect(manager.grow(table, 8)).to.equal(false);
    expect(manager.reserve(2)).to.equal(undefined);
    expect(manager.grow(table, 16, reservation)).to.equal(true);
    expect(manager.reservedBlocks).to.equal(0);
    expect(() => manager.cancel(reservation as Reservation)).to.throw(/has ended/);
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
            const held = [...model.held];
            const table = 'table' in s ? (held[s.table % held.length] as BlockTable) : new BlockTable();
            const reservations = [...model.reserved.keys()];
            const reservation =
              'reservation' in s ? reservations[s.reservation % reservations.length] : undefined;
            const freeBefore = model.free();
            if (s.do === 'grow' || s.do === 'draw') {
              const missing = Math.max(0, Math.ceil(s.tokens / blockSize) - table.blocks.length);
              const extra = reservation === undefined ? 0 : (model.reserved.get(reservation) as number);
              const grown = manager.grow(table, s.tokens, reservation);
              if (grown !== missing <= freeBefore + extra) throw new Error('grow decided wrongly');
              if (grown && reservation !== undefined) model.reserved.delete(reservation);
              if (grown && table.blocks.length * blockSize < s.tokens)
                throw new Error('grow gave too little');
            } else if (s.do === 'release') {
              manager.release(table);
              if (table.blocks.length !== 0) throw new Error('a released table holds blocks');
            } else if (s.do === 'fork') {
              const fork = manager.fork(table, s.tokens);
              if (model.held.size < 16) model.held.add(fork);
              else manager.release(fork);
            } else if (s.do === 'reserve') {
              const made = manager.reserve(s.blocks);
              if ((made !== undefined) !== s.blocks <= freeBefore) throw new Error('reserve decided wrongly');
              if (made !== undefined) model.reserved.set(made, s.blocks);
            } else if (reservation !== undefined) {
              manager.cancel(reservation);
              model.reserved.delete(reservation);
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
