import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { EmbeddingModel } from '../../src/engine/encoding/embedding-model.js';
import { ModelRunner } from '../../src/runner/model-runner.js';
import { isasInTurn } from '../oracle/isas.js';
import { largestDifference, promptLogits } from '../oracle/logits.js';

// Files of llama.cpp's own converter, and what transformers computes with the same numbers:
// tools/oracle/make_gguf_architectures.py.

const FOLDER = join(import.meta.dirname, '../../../test/fixtures/gguf/architectures');
interface Case {
  readonly logits?: string;
  /** Of an encoder. */
  readonly last_hidden_state?: string;
}
const { prompt, cases } = JSON.parse(readFileSync(join(FOLDER, 'architectures.json'), 'utf8')) as {
  readonly prompt: readonly number[];
  readonly cases: Readonly<Record<string, Case>>;
};
const tokenIds = Int32Array.from(prompt);
const floats = (base64 = ''): Float32Array =>
  new Float32Array(Uint8Array.from(Buffer.from(base64, 'base64')).buffer);
const OPTIONS = { dtype: 'f32', blockSize: 32, numBlocks: 4, threads: 1 } as const;

describe("an architecture of llama.cpp's converter", () => {
  Object.entries(cases).forEach(([name, { logits, last_hidden_state: hidden }], turn) => {
    const isas = isasInTurn(turn);
    const isa = isas[turn % isas.length];
    it(`${name} gives the numbers of transformers, ${isa}`, async () => {
      const use = logits === undefined ? 'embed' : 'generate';
      const modelPath = join(FOLDER, `${name}.gguf`);
      const runner = await ModelRunner.load({ modelPath, isa, use, ...OPTIONS });
      try {
        const found = logits
          ? await promptLogits(runner, tokenIds)
          : (await runner.encode([{ tokenIds }], 'all')).data;
        const expected = floats(logits ?? hidden);
        expect(largestDifference(found.subarray(found.length - expected.length), expected)).to.be.at.most(
          2e-4,
        );
      } finally {
        runner.dispose();
      }
    });
  });

  it('that embeds makes vectors of texts by its pooling, as llama.cpp serves them', async () => {
    const modelPath = join(FOLDER, 'bert.gguf');
    const model = await EmbeddingModel.load(modelPath, { dtype: 'f32', threads: 1 });
    const [found] = await model.embed(['Words, word']);
    await model.dispose();
    const runner = await ModelRunner.load({ modelPath, use: 'embed', ...OPTIONS });
    try {
      // [CLS] word ##s [UNK] word [SEP]
      const { data } = await runner.encode([{ tokenIds: Int32Array.of(2, 5, 6, 1, 5, 3) }], 'first');
      const length = Math.hypot(...data);
      expect(
        largestDifference(
          found?.vector ?? data,
          data.map((x) => x / length),
        ),
      ).to.be.at.most(1e-6);
    } finally {
      runner.dispose();
    }
  });
});
