import { expect } from 'chai';
import { toFloat32 } from '../../src/dtype.js';
import { DECODE, type GraphKind, PREFILL, SPLITFUSE } from '../../src/graph/graph-kind.js';
import { alibiMask, type RunFacts, type Step, tokenSequences } from '../../src/step-inputs/index.js';

const RUN: RunFacts = { dtype: 'f32', blockSize: 16, numBlocks: 8, maxPositionEmbeddings: 64 };
const LOWEST = Math.fround(-3.4028234663852886e38);

/** Sequences that may see so many tokens, the last of which they bring. */
function step(kind: GraphKind, seqLens: readonly number[], queryLens: readonly number[]): Step {
  const tokens = queryLens.reduce((sum, count) => sum + count, 0);
  return {
    kind,
    tokenIds: new Int32Array(tokens),
    positions: new Int32Array(tokens),
    queryLens: Int32Array.from(queryLens),
    seqLens: Int32Array.from(seqLens),
    promptLens: Int32Array.from(seqLens),
    blockTables: [
      [3, 1],
      [5, 2],
    ].slice(0, seqLens.length),
    headRows: new Int32Array(0),
  };
}

/** A mask of two heads with slopes 1/2 and 1/4, row by row; x where a query must not look. */
function rowsOf(of: Step) {
  const mask = alibiMask([0.5, 0.25]).make?.(of, RUN).alibi_attention_mask;
  const { shape } = mask ?? { shape: [] };
  const values = mask ? Array.from(toFloat32(mask), (value) => (value === LOWEST ? 'x' : value)) : [];
  const width = shape.at(-1) ?? 1;
  const rows = Array.from({ length: values.length / width }, (_, row) =>
    values.slice(row * width, (row + 1) * width).join(' '),
  );
  return { shape, rows };
}

describe('masks with slopes', () => {
  it('are one square of each head in prefill, whose rows and columns are positions', () => {
    expect(rowsOf(step(PREFILL, [3, 2], [3, 2]))).to.deep.equal({
      shape: [2, 3, 3],
      rows: ['0 x x', '-0.5 0 x', '-1 -0.5 0', '0 x x', '-0.25 0 x', '-0.5 -0.25 0'],
    });
  });

  it('are one row of each token and head elsewhere', () => {
    expect(rowsOf(step(DECODE, [3, 2], [1, 1]))).to.deep.equal({
      shape: [2, 2, 1, 3],
      rows: ['-1 -0.5 0', '-0.5 -0.25 0', '-0.5 0 x', '-0.25 0 x'],
    });
    expect(rowsOf(step(SPLITFUSE, [3], [2]))).to.deep.equal({
      shape: [2, 2, 1, 3],
      rows: ['-0.5 0 x', '-0.25 0 x', '-1 -0.5 0', '-0.5 -0.25 0'],
    });
  });
});

describe('tokens as sequences of one token each', () => {
  it('have the blocks of their sequence, and see what is before them', () => {
    const made = tokenSequences.make?.(step(SPLITFUSE, [18, 5], [2, 1]), RUN);
    expect(made?.token_seq_len?.data).to.deep.equal(Int32Array.of(17, 18, 5));
    expect(made?.token_block_tables).to.deep.include({
      shape: [3, 2],
      data: Int32Array.of(3, 1, 3, 1, 5, 0),
    });
  });
});
