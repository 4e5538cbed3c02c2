import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { availableIsas } from '../../src/native/index.js';
import { ModelRunner } from '../../src/runner/model-runner.js';
import { CODED_FLOATS } from './coded-floats.js';
import { familyCheckpoint, familyReferences } from './families.js';
import { caseDirectory, type OracleCase, oracleCases, readReference } from './fixtures.js';
import { largestDifference, promptLogits, smallestCosine } from './logits.js';
import { PUBLISHERS, type Publisher, publish, storeOf } from './published.js';
import { SMALL_FLOATS, v4Files } from './small-floats.js';

const VOCABULARY = 131;

async function logitsOf(
  modelPath: string,
  isa: string,
  passes: 'all' | 'none',
  prompts: readonly Int32Array[],
) {
  const runner = await ModelRunner.load({
    modelPath,
    isa,
    passes,
    dtype: 'f32',
    threads: 2,
    blockSize: 32,
    numBlocks: 40,
    maxPositionEmbeddings: 256,
  });
  try {
    const logits: number[] = [];
    for (const prompt of prompts) logits.push(...(await promptLogits(runner, prompt)));
    return Float32Array.from(logits);
  } finally {
    runner.dispose();
  }
}

/** What a checkpoint gives as it is published, and as floats, with and without passes. */
async function answers(
  source: string,
  store: Parameters<typeof publish>[1],
  isa: string,
  prompts: readonly Int32Array[],
) {
  const folder = mkdtempSync(join(tmpdir(), 'atb-published-'));
  const output = { published: join(folder, 'q'), dequantized: join(folder, 'f') };
  try {
    await publish(source, store, output);
    return {
      expected: await logitsOf(output.dequantized, isa, 'all', prompts),
      found: [
        await logitsOf(output.published, isa, 'all', prompts),
        await logitsOf(output.published, isa, 'none', prompts),
      ],
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function requireNear(name: string, found: Float32Array, expected: Float32Array): void {
  // Activations that are rounded to 8 bits are another model's.
  if (name.endsWith('dynamic')) expect(smallestCosine(found, expected, VOCABULARY)).to.be.at.least(0.995);
  // More so where one scale is for the inputs of all linears.
  else if (name.endsWith('static')) expect(smallestCosine(found, expected, VOCABULARY)).to.be.at.least(0.97);
  // The same numbers, added up in another order.
  else expect(largestDifference(found, expected)).to.be.at.most(2e-4);
}

describe('models as other tools publish them', function () {
  this.timeout(60_000);
  const oracleCase = oracleCases.find(({ name }) => name === 'llama-f32') as OracleCase;
  const isas = availableIsas();

  const integers = Object.entries(PUBLISHERS).map(([name, publisher]) => [name, storeOf(publisher)] as const);
  const floats = [...Object.entries(SMALL_FLOATS), ...Object.entries(CODED_FLOATS)];
  for (const [index, [name, publisher]] of [...integers, ...floats].entries()) {
    const isa = isas[index % isas.length] as string;
    it(`agree with the floats that they stand for: ${name}, ${isa} kernels`, async () => {
      const source = caseDirectory(oracleCase);
      try {
        const prompts = (await readReference(oracleCase)).map(({ prompt }) => prompt);
        const { expected, found: all } = await answers(source.path, publisher, isa, prompts);
        for (const found of all) requireNear(name, found, expected);
      } finally {
        source.remove();
      }
    });
  }

  for (const [index, name] of [
    'gptq-4',
    'gptq-4-act-order',
    'awq',
    'ct-pack-4-dynamic',
    'ct-pack-8-asym',
    'ct-int-8-static',
    'msmodelslim-8',
    'msmodelslim-8-static',
  ].entries()) {
    const isa = isas.at(-1 - (index % isas.length)) as string;
    it(`agree with the floats that their experts stand for: ${name}, ${isa} kernels`, async () => {
      const source = familyCheckpoint('qwen3_moe');
      try {
        const prompts = (await familyReferences('qwen3_moe')).map(({ prompt }) => prompt);
        const publisher = storeOf(PUBLISHERS[name] as Publisher);
        const { expected, found: all } = await answers(source.path, publisher, isa, prompts);
        for (const found of all) requireNear(name, found, expected);
      } finally {
        source.remove();
      }
    });
  }

  for (const [index, experts] of (['fp4', 'fp8'] as const).entries()) {
    const isa = isas[index % isas.length] as string;
    it(`agree with the floats that they stand for: DeepSeek-V4, experts of ${experts}, ${isa} kernels`, async () => {
      const source = familyCheckpoint('deepseek_v4');
      try {
        const prompts = (await familyReferences('deepseek_v4')).map(({ prompt }) => prompt).slice(0, 1);
        const { expected, found: all } = await answers(source.path, v4Files(experts), isa, prompts);
        for (const found of all) requireNear(experts, found, expected);
      } finally {
        source.remove();
      }
    });
  }
});
