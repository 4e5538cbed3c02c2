import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { KnownModel } from '../../src/router/index.js';
import { ENCODERS_DIR, encoderCases } from '../oracle/encoders.js';
import { computedBy, familyCases } from '../oracle/families.js';
import { oracleCases } from '../oracle/fixtures.js';
import { VISION_DIR, visionCases } from '../oracle/vision.js';
import { runAtbModels } from './in-process.js';

const ROOT = join(import.meta.dirname, '../../..');

async function models(...args: string[]): Promise<string> {
  const { stdout, stderr } = await runAtbModels(['models', ...args]);
  expect(stderr).to.equal('');
  return stdout;
}

describe('atb-models models', function () {
  this.timeout(120_000);
  let known: KnownModel[] = [];
  before(async () => {
    known = JSON.parse(await models('--json'));
  });

  it('lists each family with its other names, its class and what it is beside Llama', async () => {
    const { aliases, ...llama } = known.find(({ modelType }) => modelType === 'llama') as KnownModel;
    expect(aliases).to.include('code_llama');
    expect(known.find(({ modelType }) => modelType === 'telechat')?.aliases).to.include('telechat2');
    expect(llama).to.deep.equal({
      modelType: 'llama',
      modelClass: 'FlashLlamaForCausalLMATB',
      kind: 'llama',
      features: [],
      reference: 'transformers',
    });
    const table = await models();
    for (const { modelType, modelClass, features } of known) {
      expect(table).to.contain(modelType).and.to.contain(modelClass);
      if (modelType !== 'llama') expect(features, modelType).to.not.have.length(0);
    }
  });

  it('says of each what computed the logits that the tests compare with', () => {
    const computed = new Map<string, Set<string>>();
    const add = (own: string, by: string) => computed.set(own, (computed.get(own) ?? new Set()).add(by));
    // Folders of these are named after their families: llama-tied.
    for (const { model } of oracleCases) {
      const [family = ''] = model.split('-');
      add(family, family);
    }
    for (const name of familyCases) {
      const { own, modelType } = computedBy(name);
      // "glm with LayerNorm and biases" is that class with parts exchanged.
      add(own, modelType.replace(/ with .*/, ''));
    }
    for (const name of encoderCases) {
      const { own, modelType } = computedBy(name, ENCODERS_DIR);
      add(own, modelType);
    }
    for (const name of visionCases) {
      const { own, modelType } = computedBy(name, VISION_DIR);
      add(own, modelType);
    }
    for (const { modelType, reference } of known.filter(
      (model) => model.reference !== 'published formulas',
    )) {
      const others = [...(computed.get(modelType) ?? [])].filter((by) => by !== modelType);
      expect(computed.has(modelType), modelType).to.equal(true);
      expect(reference, modelType).to.equal(['transformers', ...others.map((by) => `as ${by}`)].join(', '));
    }
  });

  it('writes the table of README.md', async () => {
    expect(readFileSync(join(ROOT, 'README.md'), 'utf8')).to.contain(`\n\n${await models('--markdown')}\n`);
  });

  it('says nothing of a family of the user that its parent said of itself', () => {
    const folder = mkdtempSync(join(tmpdir(), 'atb-known-'));
    try {
      mkdirSync(join(folder, 'mine'));
      const source = `import { Olmo2Router, registerModel } from 'atb-models';
registerModel('mine', class extends Olmo2Router {});`;
      writeFileSync(join(folder, 'mine/index.mjs'), source);
      // A process of its own, since a family that was registered stays.
      const program = join(ROOT, 'scripts/atb-models.mjs');
      const args = [program, 'models', '--json', '--model_dirs', folder];
      const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
      expect(stderr).to.equal('');
      const mine = JSON.parse(stdout).find(({ modelType }: KnownModel) => modelType === 'mine');
      expect(mine).to.deep.equal({
        modelType: 'mine',
        aliases: [],
        modelClass: 'FlashOlmo2ForCausalLMATB',
        kind: 'other',
        features: [],
      });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
