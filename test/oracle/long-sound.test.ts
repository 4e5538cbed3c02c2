import { join } from 'node:path';
import { expect } from 'chai';
import { stretchesOf } from '../../src/models/phi4_multimodal/processor.js';
import { ModelRunner } from '../../src/runner/model-runner.js';
import { rowsOf } from './families.js';
import { readTensors } from './fixtures.js';
import { BEST_ISA } from './isas.js';
import { largestDifference } from './logits.js';
import { VISION_DIR, visionCheckpoint } from './vision.js';

const CASE = 'phi4_multimodal-published';
const SIZES = { bins: 13, halvings: 2 };
/** Of three stretches, the last of which has 12 rows; the last row is made of two frames. */
const FRAMES = 4 * 1012 - 2;

describe('sound that is longer than an encoder looks at at once', () => {
  it('has the rows of transformers, stretch by stretch, also where these are computed by themselves', async () => {
    const reference = await readTensors(join(VISION_DIR, CASE, 'reference.safetensors'));
    // As media_phi4.py makes it up.
    const mel = Float32Array.from({ length: FRAMES * SIZES.bins }, (_, index) => {
      return (Math.imul(index, 2_654_435_761) >>> 22) / 64;
    });
    const inputs = stretchesOf(mel, SIZES, { kind: 'audio', files: [] });
    expect(inputs.map(({ count, rows }) => [count, rows])).to.deep.equal([
      [500, 500],
      [500, 500],
      [12, 500],
    ]);
    const checkpoint = visionCheckpoint(CASE);
    const setting = { modelPath: checkpoint.path, dtype: 'f32', isa: BEST_ISA, threads: 2 } as const;
    const runner = await ModelRunner.load({ ...setting, blockSize: 32, numBlocks: 2 });
    try {
      const { data, shape } = await runner.encodeInputs(inputs);
      const width = shape[1] ?? 0;
      const kept = Array.from(reference.get('long/encoded_rows')?.data as BigInt64Array, Number);
      const expected = reference.get('long/encoded')?.data as Float32Array;
      expect(largestDifference(rowsOf(data, kept, width), expected)).to.be.at.most(2e-4);
      const [, second] = inputs;
      const alone = await runner.encodeInputs(second ? [second] : []);
      expect(alone.data).to.deep.equal(data.slice(500 * width, 1000 * width));
    } finally {
      runner.dispose();
      checkpoint.remove();
    }
  });
});
