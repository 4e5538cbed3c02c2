import { writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { toFloat32 } from '../../../src/dtype.js';
import { createEngine } from '../../../src/native/index.js';
import { requireNumbers, weightLoads } from '../../../src/runner/weight-storage.js';
import { Checkpoint } from '../../../src/weights/checkpoint.js';
import { Linear, type LinearOptions } from '../../../src/weights/linear.js';
import { integersOf } from '../../oracle/dequantized.js';
import { failure, safetensorsBytes, temporaryFolder, type WriterTensor } from '../safetensors-writer.js';

const [N, K, GROUP] = [32, 64, 32];
const GROUPS = K / GROUP;

/** An integer from -8 to 7, and scales whose product is rounded. */
const integerAt = (row: number, channel: number): number => ((row * 7 + channel * 5) % 16) - 8;
const firstOf = (row: number): number => Math.fround(0.1 + row / 7);
const secondOf = (row: number, group: number): number => Math.fround(0.3 + (row + group) / 11);

describe('W4A8 of msmodelslim', () => {
  const path = temporaryFolder();

  function tensors(isPaired: boolean, groupSize: number): Map<string, WriterTensor> {
    const grid = <T>(rows: number, columns: number, of: (row: number, column: number) => T): T[] =>
      Array.from({ length: rows * columns }, (_, i) => of(Math.floor(i / columns), i % columns));
    const pairOf = (row: number, channel: number) =>
      (integerAt(2 * row, channel) & 15) | (integerAt(2 * row + 1, channel) << 4);
    const rows = isPaired ? N / 2 : N;
    const weight = Int8Array.from(grid(rows, K, isPaired ? pairOf : integerAt));
    const f32 = (columns: number, of: (row: number, column: number) => number) => ({
      dtype: 'F32',
      shape: [N, columns],
      data: new Uint8Array(Float32Array.from(grid(N, columns, of)).buffer),
    });
    const all = {
      weight: { dtype: 'I8', shape: [rows, K], data: new Uint8Array(weight.buffer) },
      weight_scale: f32(1, firstOf),
      weight_offset: f32(1, () => 0),
      scale_bias: f32(1, () => 5),
      ...(groupSize && {
        weight_scale_second: f32(GROUPS, secondOf),
        weight_offset_second: f32(GROUPS, () => 0),
      }),
    };
    return new Map(Object.entries(all).map(([suffix, each]) => [suffix, { name: `a.${suffix}`, ...each }]));
  }

  async function load(
    stored: ReadonlyMap<string, WriterTensor>,
    groupSize: number,
    part: Partial<LinearOptions['parts'][0]> = {},
  ): Promise<Linear> {
    writeFileSync(path('model.safetensors'), safetensorsBytes([...stored.values()]));
    const description = { 'a.weight': 'W4A8_DYNAMIC', group_size: groupSize, version: '1.0.0' };
    writeFileSync(path('quant_model_description.json'), JSON.stringify(description));
    const checkpoint = await Checkpoint.open(path());
    expect(checkpoint.format?.isSpare?.('a.scale_bias')).to.equal(true);
    return Linear.load(checkpoint.weights({ dtype: 'f32' }), {
      parts: [{ name: 'a', outFeatures: N, ...part }],
      inFeatures: K,
    });
  }

  async function weightsOf(linear: Linear): Promise<Float32Array> {
    const engine = createEngine({ threads: 2 });
    try {
      const loads = weightLoads(
        linear.getWeights().filter(({ parts }) => parts.length > 0),
        [],
        'f32',
      );
      await engine.loadWeights(
        loads.map((each) => (each.quantize ? { ...each, layout: 'linear' as const } : each)),
      );
      const { q, k } = integersOf(engine.exportTensor(linear.weight.name), 'W4A16');
      const scales = toFloat32(engine.exportTensor(linear.scale?.name ?? ''));
      const groups = scales.length / linear.outFeatures;
      return Float32Array.from(q, (integer, i) => {
        const group = Math.floor(((i % k) * groups) / k);
        return integer * (scales[Math.floor(i / k) * groups + group] ?? NaN);
      });
    } finally {
      engine.dispose();
    }
  }

  const expected = (rows: readonly number[], groupSize: number): Float32Array =>
    Float32Array.from({ length: rows.length * K }, (_, i) => {
      const [row, channel] = [rows[Math.floor(i / K)] as number, i % K];
      const second = groupSize ? secondOf(row, Math.floor(channel / GROUP)) : 1;
      return integerAt(row, channel) * Math.fround(firstOf(row) * second);
    });
  const all = Array.from({ length: N }, (_, row) => row);

  for (const [title, isPaired, groupSize] of [
    ['outputs in pairs', true, GROUP],
    ['outputs in pairs, one scale for each', true, 0],
    ['a byte for each integer', false, GROUP],
  ] as const) {
    it(`is integers and two scales: ${title}`, async () => {
      const linear = await load(tensors(isPaired, groupSize), groupSize);
      expect(`${linear.desc}/${linear.groupSize}`).to.equal(`W4A8_DYNAMIC/${groupSize}`);
      expect(await weightsOf(linear)).to.deep.equal(expected(all, groupSize));
    });
  }

  it('may be taken in part and in another order', async () => {
    const order = Int32Array.from({ length: 16 }, (_, row) => (row * 5) % 16);
    const part = { outFeatures: 16, rows: { of: N, from: 8 }, rowOrder: order };
    const linear = await load(tensors(true, GROUP), GROUP, part);
    expect(await weightsOf(linear)).to.deep.equal(
      expected(
        [...order].map((row) => row + 8),
        GROUP,
      ),
    );
    const middle = await load(tensors(true, GROUP), GROUP, { outFeatures: 16, rows: { of: N, from: 8 } });
    expect(await weightsOf(middle)).to.deep.equal(expected(all.slice(8, 24), GROUP));
  });

  it('is refused without its second scales, with others, or with offsets', async () => {
    const without = tensors(true, GROUP);
    without.delete('weight_scale_second');
    await failure('WEIGHT_NOT_FOUND', () => load(without, GROUP));
    const other = await failure('WEIGHT_SHAPE_MISMATCH', () => load(tensors(true, GROUP), 64));
    expect(other.message).to.match(/_second/);
    for (const suffix of ['weight_offset', 'weight_offset_second']) {
      const shifted = tensors(true, GROUP);
      shifted.get(suffix)?.data.fill(0x3f, 0, 4);
      const linear = await load(shifted, GROUP);
      const error = await failure('WEIGHT_QUANT_OFFSET', () => requireNumbers(linear.weight));
      expect(error.message).to.match(/offsets that are not zero/);
    }
  });
});
