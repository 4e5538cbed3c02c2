import { copyFileSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { toBf16, toFloat32 } from '../../../src/dtype.js';
import { createEngine } from '../../../src/native/index.js';
import { weightLoads } from '../../../src/runner/weight-storage.js';
import { Checkpoint } from '../../../src/weights/checkpoint.js';
import { Linear, type LinearOptions } from '../../../src/weights/linear.js';
import { integersOf } from '../../oracle/dequantized.js';
import { readTensors } from '../../oracle/fixtures.js';
import { temporaryFolder } from '../safetensors-writer.js';

/** Linears as other tools store them, and what they stand for (tools/oracle/make_published_fixtures.py). */
const FIXTURES = join(import.meta.dirname, '../../../../test/fixtures/published');
const CONFIGS: Readonly<Record<string, object>> = JSON.parse(
  readFileSync(join(FIXTURES, 'cases.json'), 'utf8'),
);
const NAME = 'layer.proj';

const E2M1 = [0, 0.5, 1, 1.5, 2, 3, 4, 6];

/** The number that a signed byte, or a signed half of one, stands for. */
function numberOf(desc: Linear['desc']): (code: number) => number {
  if (desc === 'FP4') return (code) => (code < 0 ? -1 : 1) * (E2M1[code & 7] ?? NaN);
  if (desc !== 'FP8') return (code) => code;
  return (code) => {
    const [exponent, mantissa] = [(code >> 3) & 15, code & 7];
    const size = exponent === 0 ? mantissa * 2 ** -9 : (8 + mantissa) * 2 ** (exponent - 10);
    return code < 0 ? -size : size;
  };
}

/** As products make numbers of groups of 16. */
const roundedToBf16 = (value: number): number =>
  toFloat32({ dtype: 'bf16', shape: [1], data: Uint16Array.of(toBf16(value)) })[0] ?? NaN;

/** What the engine holds of a linear, as floats, with the channels of its inputs as the files have them. */
async function weightsOf(linear: Linear): Promise<Float32Array> {
  const engine = createEngine({ threads: 2 });
  try {
    const refs = linear.getWeights().filter(({ parts }) => parts.length > 0);
    const loads = weightLoads(refs, [], 'f32');
    await engine.loadWeights(
      loads.map((load) => (load.quantize ? { ...load, layout: 'linear' as const } : load)),
    );
    if (linear.isFloat) return toFloat32(engine.exportTensor(linear.weight.name));
    const isPaired = linear.desc === 'W4A16' || linear.desc === 'FP4';
    const number = numberOf(linear.desc);
    const { q, k } = integersOf(engine.exportTensor(linear.weight.name), isPaired ? 'W4A16' : 'W8A16');
    const numbers = (ref: { readonly name: string } | undefined) =>
      ref && toFloat32(engine.exportTensor(ref.name));
    const scales = numbers(linear.scale) ?? new Float32Array();
    const offsets = linear.hasOffset ? numbers(linear.offset) : undefined;
    const groups = scales.length / linear.outFeatures;
    const result = new Float32Array(q.length);
    for (const [i, integer] of q.entries()) {
      const [row, column] = [Math.floor(i / k), i % k];
      const group = linear.groupSize === 0 ? 0 : Math.floor(column / linear.groupSize);
      const channel = linear.channels?.values?.data[column] ?? column;
      const at = row * groups + group;
      const value = (scales[at] ?? NaN) * (number(integer) + (offsets?.[at] ?? -0));
      result[row * k + channel] = linear.groupSize === 16 ? roundedToBf16(value) : value;
    }
    return result;
  } finally {
    engine.dispose();
  }
}

describe('weights as other tools publish them', () => {
  const path = temporaryFolder();
  const open = async (name: string) => {
    copyFileSync(join(FIXTURES, `${name}.safetensors`), path('model.safetensors'));
    const checkpoint = await Checkpoint.open(path(), { config: { quantization_config: CONFIGS[name] } });
    const expected = (await readTensors(path('model.safetensors'))).get('expected');
    const [outFeatures = 0, inFeatures = 0] = expected?.shape ?? [];
    const load = (part: Partial<LinearOptions['parts'][0]> = {}) =>
      Linear.load(checkpoint.weights({ dtype: 'f32' }), {
        parts: [{ name: NAME, outFeatures, ...part }],
        inFeatures,
      });
    return { load, expected: expected?.data as Float32Array, outFeatures, inFeatures };
  };

  it('have a case for every fixture', () => {
    const files = readdirSync(FIXTURES).filter((file) => file.endsWith('.safetensors'));
    expect(files.map((file) => file.replace(/\.safetensors$/, '')).sort()).to.deep.equal(
      Object.keys(CONFIGS).sort(),
    );
  });

  for (const name of Object.keys(CONFIGS)) {
    it(`are the same bits: ${name}`, async () => {
      const { load, expected } = await open(name);
      expect(await weightsOf(load())).to.deep.equal(expected);
    });

    it(`may be taken in part, in another order and times a factor: ${name}`, async () => {
      const { load, expected, outFeatures, inFeatures: k } = await open(name);
      const order = Int32Array.from({ length: 16 }, (_, row) => (row * 5) % 16);
      const linear = load({
        outFeatures: 16,
        rows: { of: outFeatures, from: 8 },
        rowOrder: order,
        times: 0.5,
      });
      const wanted = [...order].flatMap((row) => [...expected.subarray((8 + row) * k, (9 + row) * k)]);
      // Floats get an addend of 0, which leaves no -0.
      const zero = linear.isFloat ? 0 : -0;
      expect(await weightsOf(linear)).to.deep.equal(Float32Array.from(wanted, (x) => x * 0.5 + zero));
    });
  }
});
