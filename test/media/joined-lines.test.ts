import { expect } from 'chai';
import { type MediaProcessor, placeInserts } from '../../src/media/index.js';
import { getModel } from '../../src/models/get-model.js';
import { mediaFiles, visionCheckpoint } from '../oracle/vision.js';

/** Ids of the case: of a picture's rows, before and behind it. */
const [IMAGE, START, END] = [120, 122, 123];

describe("lines about Gemma 3's pictures", () => {
  let checkpoint: ReturnType<typeof visionCheckpoint>;
  let processor: MediaProcessor;
  before(async () => {
    checkpoint = visionCheckpoint('gemma3');
    // As Gemma's tokenizer has it: a run of line feeds is one token.
    const found = await (await getModel(checkpoint.path)).getMediaProcessor((words) => [words.length]);
    if (!found) throw new Error('no processor');
    processor = found;
  });
  after(() => checkpoint.remove());

  it('are one token with those of the words before and behind, as they are in one text', async () => {
    const pieces = await processor.process(await mediaFiles(0, 40, 30, 1), 'it', 0, 1);
    const media = [
      { kind: 'image', pieces },
      { kind: 'image', pieces },
    ] as const;
    const { tokens, inserts } = placeInserts([90, 1, START, START, 91], media, processor);
    const rows = Array<number>(16).fill(IMAGE);
    expect([...tokens]).to.deep.equal([90, 3, START, ...rows, END, 4, START, ...rows, END, 2, 91]);
    expect(inserts.map(({ start }) => start)).to.deep.equal([3, 22]);
    expect(inserts.every(({ input }) => input.isWhole)).to.equal(true);
    const behind = placeInserts([START, 2, 91], media.slice(0, 1), processor);
    expect([...behind.tokens]).to.deep.equal([2, START, ...rows, END, 4, 91]);
  });
});
