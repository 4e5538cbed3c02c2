import { expect } from 'chai';
import { AtbError } from '../../src/errors.js';
import { type MediaPiece, type MediaProcessor, placeInserts } from '../../src/media/index.js';
import { getModel } from '../../src/models/get-model.js';
import { mediaFiles, visionCheckpoint } from '../oracle/vision.js';

/** Ids of the case that stand for a video, and before and behind what is seen. */
const [VIDEO, START, END] = [121, 122, 123];

describe('frames behind words that say when they are', () => {
  const asked: string[] = [];
  let checkpoint: ReturnType<typeof visionCheckpoint>;
  let processor: MediaProcessor;
  before(async () => {
    checkpoint = visionCheckpoint('qwen3_vl');
    const found = await (await getModel(checkpoint.path)).getMediaProcessor((words) => {
      asked.push(words);
      return [7];
    });
    if (!found) throw new Error('no processor');
    processor = found;
  });
  after(() => checkpoint.remove());

  const shown = async (frames: number, fps?: number): Promise<readonly MediaPiece[]> => {
    asked.length = 0;
    return processor.process({ ...(await mediaFiles(frames, 64, 64, 1)), fps }, 'it', 0, 1);
  };

  // As Qwen3VLProcessor of transformers 5.24 writes them for these frames.
  for (const [frames, fps, expected] of [
    [5, 2, ['0.2', '1.2', '2.0']],
    [4, 1, ['0.5', '2.5']],
    [3, 24, ['0.0', '0.1']],
  ] as const)
    it(`say ${expected.join(', ')} of ${frames} frames, ${fps} a second`, async () => {
      await shown(frames, fps);
      expect(asked).to.deep.equal(expected.map((time) => `<${time} seconds>`));
    });

  it('stand in place of what the template has about a video, and each pair is seen by itself', async () => {
    const pieces = await shown(3);
    const { tokens, inserts } = placeInserts(
      [5, START, VIDEO, END, 6],
      [{ kind: 'video', pieces }],
      processor,
    );
    const seen = Array<number>(4).fill(VIDEO);
    expect([...tokens]).to.deep.equal([5, 7, START, ...seen, END, 7, START, ...seen, END, 6]);
    expect(inserts.map(({ start }) => start)).to.deep.equal([3, 10]);
    expect(inserts[0]?.input.key).to.not.deep.equal(inserts[1]?.input.key);
    const bare = placeInserts([5, VIDEO, 6], [{ kind: 'video', pieces }], processor);
    expect([...bare.tokens]).to.deep.equal([...tokens]);
  });

  it('are two at least', async () => {
    const error = await shown(1).catch((thrown: unknown) => thrown);
    expect(error).to.be.instanceOf(AtbError).with.property('message').that.contains('at least 2 frames');
  });
});
