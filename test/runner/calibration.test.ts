import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { evaluate } from '../../src/cli/eval.js';
import { type Tensor, toFloat32 } from '../../src/dtype.js';
import { factorOf, type Multiply, roundRows } from '../../src/runner/calibration/round-rows.js';
import { ModelRunner } from '../../src/runner/model-runner.js';
import { type QuantizeCheckpointOptions, quantizeCheckpoint } from '../../src/runner/quantize-checkpoint.js';
import { dequantizedWeights } from '../oracle/dequantized.js';
import { familyCheckpoint } from '../oracle/families.js';
import { readTensors } from '../oracle/fixtures.js';
import { failure, temporaryFolder } from '../weights/safetensors-writer.js';

const MODEL = join(import.meta.dirname, '../../../examples/models/tiny-stories');
const HELD_OUT = readFileSync(join(MODEL, 'held-out.txt'), 'utf8');
/** What is scored, and what the weights are rounded by: other stories. */
const [SCORED, READ] = [HELD_OUT.slice(0, 8000), HELD_OUT.slice(12_000, 18_000)];

/** Of the family whose experts are rounded. */
const HIDDEN = 64;

/** Numbers in [-1, 1) that look random. */
function random(count: number, seed: number): Float32Array {
  let state = seed;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

const multiply: Multiply = async (a, b, [m, j, n]) => {
  const product = new Float32Array(m * n);
  for (let row = 0; row < m; row++)
    for (let i = 0; i < j; i++)
      for (let column = 0; column < n; column++)
        product[row * n + column] =
          (product[row * n + column] as number) + (a[row * j + i] as number) * (b[i * n + column] as number);
  return product;
};

describe('rounding by what goes into a product', () => {
  const [n, k, groupSize, inputs] = [8, 160, 32, 400];
  const weight = random(n * k, 3);
  const scales = new Float32Array(n * Math.ceil(k / groupSize)).fill(1 / 7);
  /** Inputs that move together: each channel is mostly what all of them share. */
  const own = random(inputs * k, 5);
  const x = own.map((value, i) => value * 0.3 + (own[Math.floor(i / k) * k + (i % 4)] as number));
  const moments = new Float64Array(k * k);
  for (let t = 0; t < inputs; t++)
    for (let i = 0; i < k; i++)
      for (let j = 0; j < k; j++)
        moments[i * k + j] =
          (moments[i * k + j] as number) + (x[t * k + i] as number) * (x[t * k + j] as number);

  /** The square error of all products with the inputs. */
  function costOf(integers: ArrayLike<number>): number {
    let cost = 0;
    for (let row = 0; row < n; row++) {
      const errors = Float64Array.from({ length: k }, (_, i) => {
        const at = row * k + i;
        return (weight[at] as number) - (scales[0] as number) * (integers[at] as number);
      });
      for (let t = 0; t < inputs; t++) {
        let sum = 0;
        for (let i = 0; i < k; i++) sum += (errors[i] as number) * (x[t * k + i] as number);
        cost += sum ** 2;
      }
    }
    return cost;
  }

  const rows = { n, k, weight, scales, groupSize, least: -8, most: 7 };

  it('changes products less than rounding to nearest does, by far', async () => {
    const nearest = weight.map((value) => Math.round(value * 7));
    const found = await roundRows(rows, await factorOf(moments, k, multiply), multiply);
    expect(costOf(found)).to.be.below(costOf(nearest) / 5);
    expect(Math.max(...found)).to.be.at.most(7);
    expect(Math.min(...found)).to.be.at.least(-8);
  });

  it('factors the moments, with more on their diagonal', async () => {
    const { order, lower } = await factorOf(moments, k, multiply);
    const mean = moments.reduce((sum, each, i) => sum + (i % (k + 1) === 0 ? each : 0), 0) / k;
    for (let i = 0; i < k; i++)
      for (let j = 0; j <= i; j++) {
        let sum = 0;
        for (let c = 0; c <= j; c++) sum += (lower[i * k + c] as number) * (lower[j * k + c] as number);
        const wanted = moments[(order[i] as number) * k + (order[j] as number)] as number;
        expect(sum - (i === j ? 0.01 * mean : 0)).to.be.closeTo(wanted, 1e-4 * mean);
      }
  });

  it('rounds to nearest where inputs have nothing to do with each other', async () => {
    const apart = moments.map((sum, i) => (i % (k + 1) === 0 ? sum : 0));
    const found = await roundRows(rows, await factorOf(apart, k, multiply), multiply);
    const nearest = Int8Array.from(weight, (value) => Math.min(7, Math.round(value / (scales[0] as number))));
    expect(found).to.deep.equal(nearest);
  });

  it('takes inputs that never were, and scales of 0', async () => {
    const found = await roundRows(
      { ...rows, scales: new Float32Array(scales.length) },
      await factorOf(new Float64Array(k * k), k, multiply),
      multiply,
    );
    expect(found.every((integer) => integer === 0)).to.equal(true);
  });
});

describe('quantizeCheckpoint with a text to calibrate by', function () {
  this.timeout(120_000);
  const path = temporaryFolder();
  const quantize = async (output: string, options: Partial<QuantizeCheckpointOptions> = {}) => {
    await quantizeCheckpoint({
      input: MODEL,
      output: path(output),
      quantize: 'w4a16',
      quantGroupSize: 128,
      threads: 2,
      ...options,
    });
    return evaluate({ modelPath: path(output), text: SCORED, threads: 2 });
  };

  it('halves at least what 4 bits lose on another text, in either format', async () => {
    const floats = await evaluate({ modelPath: MODEL, text: SCORED, threads: 2 });
    const lossOf = ({ perplexity }: { readonly perplexity: number }) => perplexity / floats.perplexity - 1;
    const plain = lossOf(await quantize('plain'));
    expect(plain).to.be.above(0.01);
    const formats = ['msmodelslim', 'compressed-tensors'] as const;
    for (const format of formats) {
      // compressed-tensors wants whole groups, of which the model's 192 channels are none.
      const quantGroupSize = format === 'msmodelslim' ? 128 : 64;
      const loss = lossOf(await quantize(format, { calibrate: READ, format, quantGroupSize }));
      expect(loss, format).to.be.within(-0.01, plain / 2);
    }
  });

  it('rounds experts by what chooses them', async () => {
    const source = familyCheckpoint('qwen3_moe');
    try {
      // A word for each id.
      const vocab = Object.fromEntries(Array.from({ length: 131 }, (_, id) => [`w${id}`, id]));
      const model = { type: 'WordLevel', vocab, unk_token: 'w0' };
      const tokenizer = { version: '1.0', pre_tokenizer: { type: 'WhitespaceSplit' }, model };
      writeFileSync(join(source.path, 'tokenizer.json'), JSON.stringify(tokenizer));
      const ids = Int32Array.from(random(1000, 7), (x) => Math.floor((x + 1) * 65));
      const calibrate = [...ids.subarray(100)].map((id) => `w${id}`).join(' ');
      const common = { input: source.path, quantize: 'w4a16', quantGroupSize: 32, threads: 2 } as const;
      await quantizeCheckpoint({ ...common, output: path('moe-plain') });
      await quantizeCheckpoint({ ...common, output: path('moe-read'), calibrate });
      const [plain, read] = [await tensorsOf('moe-plain'), await tensorsOf('moe-read')];
      const isExpert = (name: string) => /experts\.\d+\.\w+\.weight$/.test(name);
      const same = [...plain].filter(
        ([name, { data }]) => isExpert(name) && sameNumbers(data, read.get(name)?.data),
      );
      expect(same.map(([name]) => name)).to.deep.equal([]);
      const folders = [path('moe-plain'), path('moe-read')];
      const [nearest = 0, found] = await errorsOf(source.path, folders, ids.subarray(0, 100));
      expect(found).to.be.below(0.8 * nearest);
    } finally {
      source.remove();
    }
  });

  const tensorsOf = (folder: string) => readTensors(join(path(folder), 'model.safetensors'));
  const sameNumbers = (a: ArrayLike<number | bigint>, b: ArrayLike<number | bigint> | undefined) =>
    Array.from(a).every((each, i) => each === b?.[i]);

  /** The square errors of what the experts of a layer make of rows that choose them, by checkpoints of integers. */
  async function errorsOf(model: string, folders: readonly string[], prompt: Int32Array): Promise<number[]> {
    const options = { dtype: 'f32', threads: 2, blockSize: 32, numBlocks: 16, passes: 'none' } as const;
    const runner = await ModelRunner.load({ modelPath: model, ...options });
    const [rowsPath, endsPath] = ['layer_1/experts_rows', 'layer_1/experts_ends'];
    const { tensors } = await runner.trace(prompt, [rowsPath, endsPath]);
    runner.dispose();
    const x = toFloat32(tensors[rowsPath] as Tensor);
    const ends = Array.from(tensors[endsPath]?.data ?? [], Number);
    const floats = await readTensors(join(model, 'model.safetensors'));
    return Promise.all(
      folders.map(async (folder) => {
        const rounded = await dequantizedWeights(folder);
        return ends.reduce((sum, end, expert) => {
          const name = `model.layers.1.mlp.experts.${expert}.gate_proj.weight`;
          const [exact, found] = [toFloat32(floats.get(name) as Tensor), rounded.get(name)?.data ?? []];
          const errors = exact.map((value, i) => value - (found[i] ?? 0));
          return sum + costOf(errors, x.subarray((ends[expert - 1] ?? 0) * HIDDEN, end * HIDDEN));
        }, 0);
      }),
    );
  }

  /** The sum of squares of x times the transpose of a matrix [n, HIDDEN]. */
  function costOf(matrix: Float32Array, x: Float32Array): number {
    let cost = 0;
    for (let row = 0; row < matrix.length; row += HIDDEN)
      for (let at = 0; at < x.length; at += HIDDEN) {
        let sum = 0;
        for (let i = 0; i < HIDDEN; i++) sum += (matrix[row + i] as number) * (x[at + i] as number);
        cost += sum ** 2;
      }
    return cost;
  }

  it('is refused for other modes, and without a text', async () => {
    const w8a16 = { quantize: 'w8a16', calibrate: READ } as const;
    const error = await failure('REQUEST_INVALID', () => quantizeCheckpoint({ ...base('a'), ...w8a16 }));
    expect(error.message).to.match(/calibrate.*quantize w4a16/);
    await failure('REQUEST_INVALID', () => quantizeCheckpoint({ ...base('b'), calibrate: '' }));
  });

  const base = (output: string) =>
    ({ input: MODEL, output: path(output), quantize: 'w4a16', threads: 2 }) as const;
});
