import { expect } from 'chai';
import { ENCODE } from '../../src/graph/graph-kind.js';
import {
  logarithmicBucket,
  RELATIVE_BUCKETS,
  relativeBuckets,
  relativePlaces,
  signedBucket,
} from '../../src/step-inputs/index.js';

const RUN = { dtype: 'f32', blockSize: 128, numBlocks: 1, maxPositionEmbeddings: 512 } as const;

/** Two texts. */
const lens = Int32Array.of(2, 3);
const none = new Int32Array();
const STEP = {
  ...{ kind: ENCODE, tokenIds: none, positions: none, headRows: none, blockTables: [] },
  ...{ queryLens: lens, seqLens: lens, promptLens: lens },
};

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
    const made = relativeBuckets((distance) => distance + 10).make?.(STEP, RUN);
    expect(made).to.deep.equal({
      [RELATIVE_BUCKETS]: {
        dtype: 'i32',
        shape: [3, 3],
        data: Int32Array.of(10, 11, 12, 9, 10, 11, 8, 9, 10),
      },
    });
  });

  it('on both sides of 0 begin where those of DeBERTa begin', () => {
    // transformers 5.24, make_log_bucket_position(-40..40, 16, 64), clamped as DisentangledSelfAttention does.
    const starts = Array.from({ length: 81 }, (_, at) => at - 40).filter(
      (distance) =>
        signedBucket(distance, { buckets: 16, farthest: 64 }) !==
        signedBucket(distance - 1, { buckets: 16, farthest: 64 }),
    );
    expect(starts).to.deep.equal([
      -34, -26, -19, -14, -10, -8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 15, 20, 27,
      35,
    ]);
    const unbucketed = [-9, -4, 0, 3, 9].map((distance) =>
      signedBucket(distance, { buckets: 0, farthest: 4 }),
    );
    expect(unbucketed).to.deep.equal([0, 0, 4, 7, 7]);
  });

  it('have for each text the places of its queries and keys among the numbers of all tokens', () => {
    const made = relativePlaces((distance) => Math.min(Math.max(distance, -1), 1) + 5, 11).make?.(STEP, RUN);
    // Rows 4, 5 and 6 of the table; three numbers for each token.
    expect([...(made?.distance_rows?.data ?? [])]).to.deep.equal([4, 5, 6]);
    expect(made?.query_places?.shape).to.deep.equal([2, 3, 3]);
    expect([...(made?.query_places?.data ?? [])]).to.deep.equal([
      ...[1, 0, 0, 5, 4, 0, 0, 0, 0],
      ...[7, 6, 6, 11, 10, 9, 14, 14, 13],
    ]);
    expect([...(made?.key_places?.data ?? [])]).to.deep.equal([
      ...[1, 3, 0, 2, 4, 0, 0, 0, 0],
      ...[7, 9, 12, 8, 10, 12, 8, 11, 13],
    ]);
  });
});
