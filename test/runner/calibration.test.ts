import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { evaluate } from '../../src/cli/eval.js';
import { factorOf, type Multiply, roundRows } from '../../src/runner/calibration/round-rows.js';
import { type QuantizeCheckpointOptions, quantizeCheckpoint } from '../../src/runner/quantize-checkpoint.js';
import { failure, temporaryFolder } from '../weights/safetensors-writer.js';

const MODEL = join(import.meta.dirname, '../../../examples/models/tiny-stories');
const HELD_OUT = readFileSync(join(MODEL, 'held-out.txt'), 'utf8');
/** What is scored, and what the weights are rounded by: other stories. */
const [SCORED, READ] = [HELD_OUT.slice(0, 8000), HELD_OUT.slice(12_000, 18_000)];

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
    const found = await roundRows(rows, factorOf(moments, k), multiply);
    expect(costOf(found)).to.be.below(costOf(nearest) / 5);
    expect(Math.max(...found)).to.be.at.most(7);
    expect(Math.min(...found)).to.be.at.least(-8);
  });

  it('rounds to nearest where inputs have nothing to do with each other', async () => {
    const apart = moments.map((sum, i) => (i % (k + 1) === 0 ? sum : 0));
    const found = await roundRows(rows, factorOf(apart, k), multiply);
    const nearest = Int8Array.from(weight, (value) => Math.min(7, Math.round(value / (scales[0] as number))));
    expect(found).to.deep.equal(nearest);
  });

  it('takes inputs that never were, and scales of 0', async () => {
    const found = await roundRows(
      { ...rows, scales: new Float32Array(scales.length) },
      factorOf(new Float64Array(k * k), k),
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

  it('is refused for other modes, and without a text', async () => {
    const w8a16 = { quantize: 'w8a16', calibrate: READ } as const;
    const error = await failure('REQUEST_INVALID', () => quantizeCheckpoint({ ...base('a'), ...w8a16 }));
    expect(error.message).to.match(/calibrate.*quantize w4a16/);
    await failure('REQUEST_INVALID', () => quantizeCheckpoint({ ...base('b'), calibrate: '' }));
  });

  const base = (output: string) =>
    ({ input: MODEL, output: path(output), quantize: 'w4a16', threads: 2 }) as const;
});
