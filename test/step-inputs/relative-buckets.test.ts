import { expect } from 'chai';
import { ENCODE } from '../../src/graph/graph-kind.js';
import { logarithmicBucket, RELATIVE_BUCKETS, relativeBuckets } from '../../src/step-inputs/index.js';

const RUN = { dtype: 'f32', blockSize: 128, numBlocks: 1, maxPositionEmbeddings: 512 } as const;

describe('buckets of distances', () => {
  it('begin where those of transformers begin', () => {
    // transformers 5.24, MPNetEncoder.relative_position_bucket of -1000 to 1000: where its value changes.
    const behind = [1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 23, 32, 46, 64, 91];
    const before = [-90, -63, -45, -31, -22, -15, -11, -7, -6, -5, -4, -3, -2, -1, 0];
    const distances = Array.from({ length: 2001 }, (_, at) => at - 1000);
    const starts = distances.filter(
      (distance) => distance > -1000 && logarithmicBucket(distance) !== logarithmicBucket(distance - 1),
    );
    expect(starts).to.deep.equal([...before, ...behind]);
    expect([-1000, -8, 0, 1, 8, 1000].map(logarithmicBucket)).to.deep.equal([15, 8, 0, 17, 24, 31]);
  });

  it('are one table for all texts of a step, as large as the longest', () => {
    const lens = Int32Array.of(2, 3);
    const none = new Int32Array();
    const step = {
      ...{ kind: ENCODE, tokenIds: none, positions: none, headRows: none, blockTables: [] },
      ...{ queryLens: lens, seqLens: lens, promptLens: lens },
    };
    const made = relativeBuckets((distance) => distance + 10).make?.(step, RUN);
    expect(made).to.deep.equal({
      [RELATIVE_BUCKETS]: {
        dtype: 'i32',
        shape: [3, 3],
        data: Int32Array.of(10, 11, 12, 9, 10, 11, 8, 9, 10),
      },
    });
  });
});
