import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { ORACLE_DIR } from './fixtures.js';
import { fnv1a, type SeededTensor, type SeededWeights, seededData, seededValues } from './seeded-weights.js';

interface Recorded {
  /** Bit patterns of the first values. */
  readonly first: readonly number[];
  /** FNV-1a of the bytes of all values. */
  readonly hash: number;
}

type Entry = SeededTensor & { readonly seed: number; readonly name: string } & Readonly<
    Record<SeededWeights['dtype'], Recorded>
  >;

const entries: readonly Entry[] = JSON.parse(
  readFileSync(join(ORACLE_DIR, 'seeded-weights.json'), 'utf8'),
).entries;

describe('seeded weights', () => {
  for (const entry of entries) {
    for (const dtype of ['float32', 'bfloat16', 'float16'] as const) {
      it(`are the bits that Python makes: ${entry.name}, seed ${entry.seed}, ${dtype}`, () => {
        const { buffer, byteLength } = seededData(entry.seed, entry.name, entry, dtype);
        const bits = dtype === 'float32' ? new Uint32Array(buffer) : new Uint16Array(buffer);
        expect([...bits.subarray(0, 6)]).to.deep.equal(entry[dtype].first);
        expect(fnv1a(new Uint8Array(buffer, 0, byteLength))).to.equal(entry[dtype].hash);
      });
    }
  }

  it('have the mean and the spread that were asked for', () => {
    const values = seededValues(3, 'a.weight', { shape: [300, 300], mean: 1, std: 0.5 });
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
    // 90000 samples: the mean is known to 0.5 / 300, the deviation to less; four times that never fails by chance.
    expect(mean).to.be.closeTo(1, 0.007);
    expect(Math.sqrt(variance)).to.be.closeTo(0.5, 0.005);
  });

  it('of another seed or another name have nothing to do with one another', () => {
    const tensor: SeededTensor = { shape: [10000], mean: 0, std: 1 };
    const reference = seededValues(1, 'layers.0.weight', tensor);
    for (const [seed, name] of [
      [2, 'layers.0.weight'],
      [1, 'layers.1.weight'],
      [0x80000001, 'layers.0.weight'],
    ] as const) {
      const other = seededValues(seed, name, tensor);
      const product =
        reference.reduce((sum, value, i) => sum + value * (other[i] ?? 0), 0) / reference.length;
      // The correlation of independent samples deviates by 1 / √10000.
      expect(product).to.be.closeTo(0, 0.04);
    }
  });
});
