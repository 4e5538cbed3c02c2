import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { toFloat32 } from '../../src/dtype.js';
import {
  type ConfigDict,
  defineConfig,
  field,
  integer,
  type RotaryConfigOptions,
  required,
  rotaryConfig,
} from '../../src/layers/config/index.js';
import { ropeFrequencies } from '../../src/step-inputs/rotary/frequencies.js';
import { isLengthDependent, type RopeConfig } from '../../src/step-inputs/rotary/rope-config.js';
import { fullRopeTable, ropeTable } from '../../src/step-inputs/rotary/rope-table.js';

interface Entry {
  readonly name: string;
  readonly config: ConfigDict;
  /** Of one forward; a number stands for all below it. */
  readonly positions: number | number[];
  readonly inverse: number[];
  readonly attention_factor: number;
  readonly rows: { readonly row: number; readonly cos: number[]; readonly sin: number[] }[];
}
const FILE = join(import.meta.dirname, '../../../test/fixtures/oracle/rope.json');
const entries: readonly Entry[] = JSON.parse(readFileSync(FILE, 'utf8')).entries;

const ropeOf = (extra: ConfigDict, options: RotaryConfigOptions = { theta: 10_000 }): RopeConfig => {
  const { rope } = defineConfig({
    fields: {
      headDim: field('head_dim', integer(1, 1000), 16),
      maxPositionEmbeddings: field('max_position_embeddings', integer(1, 2 ** 20), required),
      rope: rotaryConfig(options),
    },
    irrelevant: {
      hidden_size: 'only heads are asked for',
      num_key_value_heads: 'only heads are asked for',
    },
  }).read(extra);
  return rope;
};
const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

describe('rotary embeddings', () => {
  for (const { name, config, positions, inverse, attention_factor, rows } of entries) {
    it(`agree with transformers: ${name}`, () => {
      const rope = ropeOf(config);
      const all = typeof positions === 'number' ? range(positions) : positions;
      const promptLen = Math.max(...all) + 1;
      const frequencies = ropeFrequencies(rope, promptLen);
      expect(frequencies.attentionFactor).to.be.closeTo(attention_factor, 1e-12);
      // torch's powers are within 1 ulp, and two roundings follow.
      frequencies.inverse.forEach((value, index) => {
        expect(value / (inverse[index] ?? 0)).to.be.closeTo(1, 2 ** -22);
      });
      const { cos, sin } = ropeTable(
        rope,
        all,
        'f32',
        all.map(() => promptLen),
      );
      const half = rope.headDim / 2;
      for (const { row, cos: cosRow, sin: sinRow } of rows) {
        for (let index = 0; index < half; index++) {
          const angle = (all[row] ?? 0) * (inverse[index] ?? 0);
          // An angle inherits the ulp of its frequency.
          const bound = 2e-7 + angle * 2 ** -22;
          for (const at of [row * rope.headDim + index, row * rope.headDim + half + index]) {
            expect(cos.data[at]).to.be.closeTo(cosRow[index] ?? 0, bound);
            expect(sin.data[at]).to.be.closeTo(sinRow[index] ?? 0, bound);
          }
        }
      }
    });
  }

  const dynamic = ropeOf({
    hidden_size: 64,
    num_attention_heads: 4,
    max_position_embeddings: 64,
    rope_scaling: { type: 'dynamic', factor: 4 },
  });

  it('use the length of the prompt for its tokens, and the position for those after it', () => {
    const at = (position: number, promptLen: number): number[] => [
      ...toFloat32(ropeTable(dynamic, [position], 'f32', [promptLen]).cos),
    ];
    expect(isLengthDependent(dynamic)).to.equal(true);
    expect(at(10, 100)).not.to.deep.equal(at(10, 64));
    expect(at(10, 20)).to.deep.equal(at(10, 64));
    expect(at(100, 80)).to.deep.equal(at(100, 101));
    expect(at(100, 80)).not.to.deep.equal(at(100, 120));
  });

  it('do not depend on length otherwise', () => {
    const plain = ropeOf({ hidden_size: 64, num_attention_heads: 4, max_position_embeddings: 64 });
    expect(isLengthDependent(plain)).to.equal(false);
    const row = ropeTable(plain, [10], 'f32', [1000]).cos.data;
    expect([...row]).to.deep.equal([...fullRopeTable(plain, 64, 'f32').cos.data].slice(160, 176));
  });

  it('are rounded once to the dtype of the model', () => {
    const [exact, rounded] = (['f32', 'bf16'] as const).map((dtype) =>
      toFloat32(ropeTable(dynamic, range(50), dtype).sin),
    );
    let largest = 0;
    exact?.forEach((value, index) => {
      largest = Math.max(largest, Math.abs(value - (rounded?.[index] ?? 0)));
    });
    // Half a unit of bf16's 8 bits below 1.
    expect(largest).to.be.within(2 ** -10, 2 ** -9);
  });
});
