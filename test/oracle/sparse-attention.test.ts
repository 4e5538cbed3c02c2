import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import type { FloatDType } from '../../src/dtype.js';
import { ModelRunner } from '../../src/runner/model-runner.js';
import { familyCheckpoint, familyReferences } from './families.js';
import { SAMPLED_ISAS } from './isas.js';
import { chosenKeys } from './key-choices.js';
import { promptLogits } from './logits.js';

const PROMPT = Int32Array.from({ length: 100 }, (_, at) => (at * 37 + 5) % 128);

/** A case's checkpoint under another config.json. */
function changedCheckpoint(name: string, changes: Readonly<Record<string, unknown>>) {
  const checkpoint = familyCheckpoint(name);
  const file = join(checkpoint.path, 'config.json');
  writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), ...changes }));
  return checkpoint;
}

/** What a prompt's logits are, and which keys were chosen. */
async function resultsOf(
  changes: Readonly<Record<string, unknown>>,
  { isa, dtype }: { readonly isa: string; readonly dtype: FloatDType },
) {
  const checkpoint = changedCheckpoint('deepseek_v32', changes);
  const runner = await ModelRunner.load({
    modelPath: checkpoint.path,
    dtype,
    isa,
    threads: 2,
    blockSize: 32,
    numBlocks: 16,
    maxPositionEmbeddings: 128,
    allowUnread: true,
  });
  try {
    const isSparse = changes.model_type === undefined;
    return {
      logits: await promptLogits(runner, PROMPT),
      keys: isSparse ? await chosenKeys(runner, PROMPT) : [],
    };
  } finally {
    runner.dispose();
    checkpoint.remove();
  }
}

describe('attention to chosen keys', function () {
  this.timeout(120_000);
  for (const isa of SAMPLED_ISAS) {
    for (const dtype of ['f32', 'bf16'] as const) {
      it(`is attention to all keys, to the last bit, up to index_topk tokens: ${dtype}, ${isa} kernels`, async () => {
        const plain = await resultsOf({ model_type: 'deepseek_v3' }, { isa, dtype });
        const sparse = await resultsOf({ index_topk: 60 }, { isa, dtype });
        const width = plain.logits.length / PROMPT.length;
        expect(sparse.logits.subarray(0, 60 * width)).to.deep.equal(plain.logits.subarray(0, 60 * width));
        expect(sparse.logits.subarray(60 * width)).not.to.deep.equal(plain.logits.subarray(60 * width));
        const whole = await resultsOf({ index_topk: 100 }, { isa, dtype });
        expect(whole.logits).to.deep.equal(plain.logits);
      });
    }
  }

  it('chooses as many keys as it may, each query others', async () => {
    const { keys } = await resultsOf({}, { isa: 'reference', dtype: 'f32' });
    expect(keys.length).to.equal(3);
    for (const layer of keys) {
      layer.forEach((chosen, token) => {
        expect(chosen.split(',').length).to.equal(Math.min(token + 1, 20));
      });
      expect(new Set(layer).size).to.be.above(95);
    }
  });

  it('is what the references are of: most of their rows have more keys than are chosen', async () => {
    for (const name of ['deepseek_v32', 'deepseek_v32-dense', 'glm_moe_dsa', 'glm_moe_dsa-shared']) {
      const rows = (await familyReferences(name)).flatMap((reference) => reference.rows);
      expect(rows.filter((row) => row >= 20).length, name).to.be.above(rows.length / 2);
    }
  });
});
