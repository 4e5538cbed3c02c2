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

describe("the token about Idefics 2's pictures", () => {
  const TEXTS: Readonly<Record<number, string>> = { 90: 'In', 91: ' in', 92: '\n', 93: '<x>' };
  const encode = Object.assign(
    (text: string) => (/^<fake_token_around_image> In$/.test(text) ? [START, 77] : [START]),
    { textOf: (id: number) => TEXTS[id] ?? '' },
  );
  let checkpoint: ReturnType<typeof visionCheckpoint>;
  let processor: MediaProcessor;
  before(async () => {
    checkpoint = visionCheckpoint('idefics2');
    const found = await (await getModel(checkpoint.path)).getMediaProcessor(encode);
    if (!found) throw new Error('no processor');
    processor = found;
  });
  after(() => checkpoint.remove());

  it('stands once between pictures, and has a space between itself and a word', async () => {
    const pieces = await processor.process(await mediaFiles(0, 40, 30, 1), 'it', 0, 1);
    const thing = { kind: 'image', pieces } as const;
    const parts = Array.from({ length: 5 }, () => [IMAGE, IMAGE, IMAGE, IMAGE, START]).flat();
    const { tokens } = placeInserts([90, IMAGE, IMAGE, 90], [thing, thing], processor);
    expect([...tokens]).to.deep.equal([90, START, ...parts, ...parts, 77]);
    for (const behind of [91, 92, 93])
      expect(placeInserts([IMAGE, behind], [thing], processor).tokens.at(-1)).to.equal(behind);
  });

  it('is about quarters, which a picture of one row has not', async () => {
    const refused = await processor.process(await mediaFiles(0, 40, 1, 1), 'it', 0, 1).then(
      () => 'nothing was refused',
      (error: Error) => error.message,
    );
    expect(refused).to.match(/MEDIA_UNSUPPORTED.*two pixels along each side.*40 x 1 pixels/);
  });
});
