import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { LLM } from '../../src/engine/llm.js';
import { ModelRunner } from '../../src/runner/model-runner.js';
import { quantizeCheckpoint } from '../../src/runner/quantize-checkpoint.js';
import { isasInTurn } from '../oracle/isas.js';
import { largestDifference, promptLogits, smallestCosine } from '../oracle/logits.js';
import { writeGguf } from './gguf-writer.js';
import { TINY_STORIES, tinyStoriesMetadata, writeTinyStories } from './tiny-stories.js';

// What transformers computes with the numbers of the files: tools/oracle/make_gguf_fixtures.py.

const FOLDER = join(import.meta.dirname, '../../../test/fixtures/gguf');
const { prompt, cases } = JSON.parse(readFileSync(join(FOLDER, 'models.json'), 'utf8')) as {
  readonly prompt: readonly number[];
  readonly cases: Readonly<Record<string, { readonly logits: string }>>;
};
/** With groups of 16, which become integers to the nearest. */
const ROUNDED = ['qwen2-q4_k_m'];

describe('a model in GGUF', () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'atb-gguf-'));
  });
  after(() => rm(folder, { recursive: true }));

  Object.entries(cases).forEach(([name, { logits }], turn) => {
    for (const isa of isasInTurn(turn))
      it(`${name} gives the logits of transformers, ${isa}`, async () => {
        const modelPath = join(FOLDER, `${name}.gguf`);
        const options = { blockSize: 32, numBlocks: 4, threads: 1 } as const;
        const runner = await ModelRunner.load({ modelPath, isa, dtype: 'f32', ...options });
        try {
          const found = await promptLogits(runner, Int32Array.from(prompt));
          const expected = new Float32Array(Uint8Array.from(Buffer.from(logits, 'base64')).buffer);
          if (ROUNDED.includes(name))
            expect(smallestCosine(found, expected, expected.length / prompt.length)).to.be.at.least(0.998);
          else expect(largestDifference(found, expected)).to.be.at.most(2e-4);
        } finally {
          runner.dispose();
        }
      });
  });

  it('writes the same story as the checkpoint that it was made of, and quantises at load', async () => {
    const path = await writeTinyStories(join(folder, 'stories.gguf'));
    const storyOf = async (modelPath: string, options = {}) => {
      await using llm = await LLM.load(modelPath, { threads: 1, ...options });
      const [answer] = await llm.generate(['Once upon a time'], { maxTokens: 30, temperature: 0 });
      return answer?.text;
    };
    const story = await storyOf(TINY_STORIES);
    expect(await storyOf(path)).to.equal(story);
    expect(await storyOf(path, { quantize: 'w8a16' })).to.equal(
      await storyOf(TINY_STORIES, { quantize: 'w8a16' }),
    );
  });

  it('is not written again by quantize, which says what to do', async () => {
    const input = writeGguf(join(folder, 'a.gguf'), tinyStoriesMetadata());
    const error: unknown = await quantizeCheckpoint({
      input,
      output: join(folder, 'out'),
      quantize: 'w8a16',
    }).catch((thrown) => thrown);
    expect(error)
      .to.have.property('message')
      .match(/a GGUF file runs as it is, or with --quantize/);
  });
});
