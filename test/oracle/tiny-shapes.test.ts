import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { LLM } from '../../src/engine/llm.js';

const MODEL = join(import.meta.dirname, '../../../examples/models/tiny-shapes');
const PICTURES = join(MODEL, 'pictures');
/** What is drawn, which is what transformers 5.24 answered in f32 (tools/train_tiny_shapes.py). */
const ANSWERS: Readonly<Record<string, string>> = JSON.parse(
  readFileSync(join(PICTURES, 'answers.json'), 'utf8'),
);

describe('the bundled model that sees', function () {
  this.timeout(60_000);

  for (const dtype of ['f32', 'bf16'] as const)
    it(`describes pictures as transformers does, in ${dtype}`, async () => {
      const llm = await LLM.load(MODEL, {
        ...{ dtype, threads: 2, maxModelLen: 128, maxNumSeqs: 4, memoryBudget: '64MiB' },
      });
      try {
        const said = await llm.generate(
          Object.keys(ANSWERS).map((name) => [
            {
              role: 'user',
              content: [
                { type: 'image', image: readFileSync(join(PICTURES, name)) },
                { type: 'text', text: 'What is this?' },
              ],
            },
          ]),
        );
        expect(said.map(({ text }) => text)).to.deep.equal(Object.values(ANSWERS));
        expect(said).to.have.length.of.at.least(3);
      } finally {
        await llm.dispose();
      }
    });
});
