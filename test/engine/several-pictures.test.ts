import { expect } from 'chai';
import { LLM } from '../../src/engine/llm.js';
import { bytesOf, seeingModel, special } from '../media/seeing-model.js';
import { mediaFiles } from '../oracle/vision.js';

const OPTIONS = {
  threads: 2,
  blockSize: 32,
  dtype: 'f32',
  maxNumSeqs: 4,
  maxModelLen: 200,
  memoryBudget: '256MiB',
} as const;
const ANSWER = { maxTokens: 6, ignoreEos: true, temperature: 0 } as const;

const user = (...content: unknown[]) => [{ role: 'user', content }];
const text = (said: string) => ({ type: 'text', text: said });
const image = (given: unknown) => ({ type: 'image', image: given });

describe('prompts whose pictures are seen together', function () {
  this.timeout(60_000);
  let [wide, tall]: (Uint8Array | undefined)[] = [];
  before(async () => {
    [wide] = (await mediaFiles(0, 200, 50, 1)).files;
    [tall] = (await mediaFiles(0, 30, 90, 2)).files;
  });

  it('show one picture in tiles, several in all of a dialogue as squares, by LLaVA-OneVision', async () => {
    const checkpoint = seeingModel('llava_onevision');
    const llm = await LLM.load(checkpoint.path, OPTIONS);
    try {
      const first = user(image(wide), text('?'));
      const alone = await llm.prepare(first);
      const both = await llm.prepare([
        ...first,
        { role: 'assistant', content: 'One.' },
        ...user(image(tall), text('And?')),
      ]);
      const countsOf = ({ inserts }: typeof alone) =>
        inserts.map(({ input }) => [input.shape[0], input.count]);
      // Of 5 x 5 patches each; a row that ends a line stands behind those of a square.
      expect(countsOf(alone)[0]?.[0]).to.be.at.least(2);
      expect(countsOf(both)).to.deep.equal([
        [1, 26],
        [1, 26],
      ]);
      expect(both.inserts[0]?.input.key).to.not.deep.equal(alone.inserts[0]?.input.key);
      const { text: answer } = await llm.generate(first, ANSWER);
      const { text: again } = await llm.generate(first, ANSWER);
      expect(again, 'from the cache').to.equal(answer);
    } finally {
      await llm.dispose();
      checkpoint.remove();
    }
  });

  it('are one thing with all words, by PaliGemma, whose files bring no template', async () => {
    const checkpoint = seeingModel('paligemma');
    const llm = await LLM.load(checkpoint.path, OPTIONS);
    try {
      const { tokens, inserts } = await llm.prepare(user(image(wide), image(tall), text('caption en')));
      expect([...tokens]).to.deep.equal([
        ...Array<number>(50).fill(special('<image>')),
        special('<|im_start|>'),
        ...bytesOf('caption en\n'),
      ]);
      expect(inserts.map(({ start, input }) => [start, input.count, input.isWhole])).to.deep.equal([
        [0, tokens.length, true],
      ]);
      const answers = [];
      for (const said of ['caption en', 'caption de', 'caption en'])
        answers.push(
          await llm.generate(user(image(wide), image(tall), text(said)), { ...ANSWER, logprobs: 0 }),
        );
      const [english, german, again] = answers.map(({ logprobs }) => logprobs.map(({ logprob }) => logprob));
      expect(again, 'from the cache').to.deep.equal(english);
      expect(german, 'with other words behind the same pictures').to.not.deep.equal(english);
    } finally {
      await llm.dispose();
      checkpoint.remove();
    }
  });
});
