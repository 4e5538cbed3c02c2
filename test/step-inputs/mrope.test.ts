import { expect } from 'chai';
import { DECODE, type GraphKind, SPLITFUSE } from '../../src/graph/graph-kind.js';
import type { Insert, InsertGrid } from '../../src/media/index.js';
import { MROPE_IDS, mrope, type Step } from '../../src/step-inputs/index.js';

const ROPE = {
  theta: 10_000,
  headDim: 16,
  rotaryDim: 16,
  interleaved: false,
  maxPositionEmbeddings: 512,
  scaling: { type: 'default' },
} as const;
const RUN = { dtype: 'f32', blockSize: 32, numBlocks: 16, maxPositionEmbeddings: 512 } as const;

function insert(start: number, grid: InsertGrid): Insert {
  const { frames, rows, columns } = grid;
  const count = frames * rows * columns;
  const shape = [frames, rows, columns] as const;
  return {
    start,
    input: { data: new Float32Array(), rows: count, count, shape, grid, key: new Int32Array(8) },
  };
}

/** Positions of the tokens [from, to) of a prompt: those in time, in height and in width. */
function positions(inserts: readonly Insert[], from: number, to: number, kind: GraphKind = SPLITFUSE) {
  const count = to - from;
  const step: Step = {
    kind,
    tokenIds: new Int32Array(count),
    positions: Int32Array.from({ length: count }, (_, i) => from + i),
    queryLens: Int32Array.of(count),
    seqLens: Int32Array.of(to),
    promptLens: Int32Array.of(to),
    blockTables: [],
    headRows: new Int32Array(),
    inserts: [inserts],
  };
  const made = mrope(ROPE).make?.(step, RUN) ?? {};
  return Object.values(MROPE_IDS).map((id) => Array.from(made[id]?.data as BigInt64Array, Number));
}

describe('positions of three axes', () => {
  it('go on behind a long video at its last frame, not at its side', () => {
    // transformers 4 and the training code; 5.24 goes on at max(rows, columns), which would be 2 + 2 = 4.
    const video = insert(2, { frames: 5, rows: 1, columns: 2 });
    expect(positions([video], 0, 14)).to.deep.equal([
      [0, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 8],
      [0, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 7, 8],
      [0, 1, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 7, 8],
    ]);
  });

  it('leave seconds between frames, rounded down', () => {
    const video = insert(1, { frames: 3, rows: 1, columns: 1, interval: 2.5 });
    expect(positions([video], 0, 5)[0]).to.deep.equal([0, 1, 3, 6, 7]);
  });

  it('are those of the whole prompt in each of its chunks, and equal on all axes in decode', () => {
    const inserts = [
      insert(3, { frames: 1, rows: 4, columns: 2 }),
      insert(12, { frames: 1, rows: 2, columns: 5 }),
    ];
    const whole = positions(inserts, 0, 30);
    for (let from = 0; from < 29; from++)
      expect(positions(inserts, from, 30)).to.deep.equal(whole.map((axis) => axis.slice(from)));
    const [time, height, width] = positions(inserts, 29, 30, DECODE);
    expect([height, width]).to.deep.equal([time, time]);
    // 8 tokens take 4 positions, 10 take 5.
    expect(time).to.deep.equal([29 - 4 - 5]);
  });

  it('refuse what the tables do not have', () => {
    const long = insert(0, { frames: 2, rows: 1, columns: 1, interval: 600 });
    expect(() => positions([long], 0, 2)).to.throw('REQUEST_INVALID');
  });
});
