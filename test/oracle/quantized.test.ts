import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { FloatDType } from '../../src/dtype.js';
import type { PassSelection } from '../../src/graph/passes/index.js';
import { availableIsas } from '../../src/native/index.js';
import { ModelRunner } from '../../src/runner/model-runner.js';
import { quantizeCheckpoint } from '../../src/runner/quantize-checkpoint.js';
import type { QuantizeOptions } from '../../src/weights/quantization.js';
import { writeDequantized } from './dequantized.js';
import { caseDirectory, type OracleCase, oracleCases, readReference } from './fixtures.js';
import { largestDifference, promptLogits, smallestCosine } from './logits.js';

/** Groups of 32 do not divide the fixtures' 112 input channels: the last group is shorter. */
const MODES = [
  { quantize: 'w8a16' },
  { quantize: 'w8a8_dynamic' },
  { quantize: 'w4a16', quantGroupSize: 32 },
  { quantize: 'w4a8_dynamic', quantGroupSize: 32 },
] as const satisfies readonly QuantizeOptions[];

const CASES = ['llama-f32', 'llama-tied-f32', 'mistral-f32', 'qwen2-f32', 'qwen3-f32'];
const chosen = oracleCases.filter(({ name }) => CASES.includes(name));
/** What is special of 4 bits and of int8 activations the other modes show on all of them. */
const casesOf = ({ quantize }: QuantizeOptions) =>
  quantize === 'w4a8_dynamic' ? chosen.slice(1, 3) : chosen;

interface Setting {
  readonly isa: string;
  readonly dtype: FloatDType;
  readonly passes?: PassSelection;
}

const load = (modelPath: string, { isa, dtype, passes = 'all' }: Setting, options: QuantizeOptions = {}) =>
  ModelRunner.load({
    modelPath,
    ...options,
    isa,
    dtype,
    passes,
    threads: 2,
    blockSize: 32,
    numBlocks: 40,
    maxPositionEmbeddings: 256,
  });

/** Logits of each prompt. */
async function logitsOf(
  modelPath: string,
  setting: Setting,
  prompts: readonly Int32Array[],
  options: QuantizeOptions = {},
): Promise<Float32Array[]> {
  const runner = await load(modelPath, setting, options);
  try {
    const logits: Float32Array[] = [];
    for (const prompt of prompts) logits.push(await promptLogits(runner, prompt));
    return logits;
  } finally {
    runner.dispose();
  }
}

const flat = (arrays: readonly Float32Array[]): Float32Array =>
  Float32Array.from(arrays.flatMap((array) => [...array]));

/** A fixture, quantised, and the float checkpoint that this stands for. */
async function prepare(oracleCase: OracleCase, mode: (typeof MODES)[number]) {
  const folder = mkdtempSync(join(tmpdir(), 'atb-quantized-'));
  const source = caseDirectory(oracleCase);
  const [quantized, dequantized] = [join(folder, 'q'), join(folder, 'f')];
  await quantizeCheckpoint({ input: source.path, output: quantized, ...mode, threads: 2 });
  await writeDequantized(quantized, dequantized);
  const prompts = (await readReference(oracleCase)).map(({ prompt }) => prompt);
  const remove = () => {
    source.remove();
    rmSync(folder, { recursive: true });
  };
  return { float: source.path, quantized, dequantized, prompts, remove };
}

for (const isa of availableIsas()) {
  describe(`quantised models, ${isa} kernels`, function () {
    this.timeout(180_000);
    for (const mode of MODES) {
      it(`are the same with and without graph passes, ${mode.quantize}`, async () => {
        for (const oracleCase of casesOf(mode)) {
          const source = caseDirectory(oracleCase);
          try {
            const prompts = (await readReference(oracleCase)).map(({ prompt }) => prompt);
            const exact = { isa, dtype: 'f32' } as const;
            // Only that pass makes int8 of what 4 bits are multiplied with.
            const passes = mode.quantize === 'w4a8_dynamic' ? ['dynamic-quant'] : 'none';
            const portable = await logitsOf(source.path, { ...exact, passes }, prompts, mode);
            const fused = await logitsOf(source.path, exact, prompts, mode);
            // In f32 only the order of sums differs; int8 activations may round to a neighbour for it.
            const bound = { w8a16: 2e-4, w8a8_dynamic: 0.02, w4a16: 2e-4, w4a8_dynamic: 0.1 }[mode.quantize];
            expect(largestDifference(flat(fused), flat(portable))).to.be.at.most(bound);
          } finally {
            source.remove();
          }
        }
      });
    }

    for (const mode of MODES) {
      for (const oracleCase of casesOf(mode)) {
        it(`agree with the floats that they stand for: ${oracleCase.name}, ${mode.quantize}`, async () => {
          const { quantized, dequantized, prompts, remove } = await prepare(oracleCase, mode);
          try {
            const exact = { isa, dtype: 'f32' } as const;
            const expected = await logitsOf(dequantized, exact, prompts);
            const found = await logitsOf(quantized, exact, prompts);
            if (mode.quantize.endsWith('a8_dynamic')) {
              // Activations are rounded to 8 bits, which the float model does not do.
              expect(smallestCosine(flat(found), flat(expected), 131)).to.be.at.least(0.995);
            } else {
              // The same numbers, added up in another order, as between kernel tables.
              expect(largestDifference(flat(found), flat(expected))).to.be.at.most(5e-4);
            }
          } finally {
            remove();
          }
        });
      }
    }
  });
}
