import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { ModelRunner } from '../../src/runner/model-runner.js';
import { isasInTurn } from '../oracle/isas.js';
import { largestDifference, promptLogits } from '../oracle/logits.js';

// Files of llama.cpp's own converter, and what transformers computes with the same numbers:
// tools/oracle/make_gguf_architectures.py.

const FOLDER = join(import.meta.dirname, '../../../test/fixtures/gguf/architectures');
const { prompt, cases } = JSON.parse(readFileSync(join(FOLDER, 'architectures.json'), 'utf8')) as {
  readonly prompt: readonly number[];
  readonly cases: Readonly<Record<string, { readonly logits: string }>>;
};

describe("an architecture of llama.cpp's converter", () => {
  Object.entries(cases).forEach(([name, { logits }], turn) => {
    const isas = isasInTurn(turn);
    const isa = isas[turn % isas.length];
    it(`${name} gives the logits of transformers, ${isa}`, async () => {
      const modelPath = join(FOLDER, `${name}.gguf`);
      const options = { blockSize: 32, numBlocks: 4, threads: 1 } as const;
      const runner = await ModelRunner.load({ modelPath, isa, dtype: 'f32', ...options });
      try {
        const found = await promptLogits(runner, Int32Array.from(prompt));
        const expected = new Float32Array(Uint8Array.from(Buffer.from(logits, 'base64')).buffer);
        const last = found.subarray(found.length - expected.length);
        expect(largestDifference(last, expected)).to.be.at.most(2e-4);
      } finally {
        runner.dispose();
      }
    });
  });
});
