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

  const HEAD = { head_dim: 16, max_position_embeddings: 64 };

  it('turn the first part of a head, and leave the rest as it is', () => {
    const glm = { theta: 10_000, factor: 0.5 };
    const partial = ropeOf(HEAD, glm);
    expect(partial).to.deep.include({ headDim: 16, rotaryDim: 8 });
    expect(ropeOf({ ...HEAD, partial_rotary_factor: 0.25 }, glm).rotaryDim).to.equal(4);
    expect(ropeOf({ ...HEAD, rope_parameters: { partial_rotary_factor: 0.25 } }, glm).rotaryDim).to.equal(4);
    const names = { theta: 10_000, factor: 0.25, factorNames: 'rotary_pct', thetaNames: 'rotary_emb_base' };
    expect(ropeOf({ ...HEAD, rotary_pct: 1, rotary_emb_base: 500 }, names)).to.deep.include({
      rotaryDim: 16,
      theta: 500,
    });

    const whole = ropeOf({ ...HEAD, head_dim: 8 });
    const [wide, narrow] = [partial, whole].map((rope) => fullRopeTable(rope, 20, 'f32'));
    for (let row = 0; row < 20; row++) {
      for (let index = 0; index < 8; index++) {
        // The second half of a row is the first again.
        for (const at of [row * 16 + index, row * 16 + 8 + index]) {
          expect(wide?.cos.data[at]).to.equal(index < 4 ? narrow?.cos.data[row * 8 + index] : 1);
          expect(wide?.sin.data[at]).to.equal(index < 4 ? narrow?.sin.data[row * 8 + index] : 0);
        }
      }
    }
  });

  it('refuse a part of a head that is nothing, odd, or more than the family turns', () => {
    const glm = { theta: 10_000, factor: 0.5 };
    expect(() => ropeOf({ ...HEAD, partial_rotary_factor: 0.01 }, glm)).to.throw(
      /an even number of a head's 16 elements must turn, found 0/,
    );
    expect(() => ropeOf({ ...HEAD, partial_rotary_factor: 0.2 }, glm)).to.throw(/must turn, found 3/);
    expect(() => ropeOf({ ...HEAD, partial_rotary_factor: 1.5 }, glm)).to.throw(
      /partial_rotary_factor must be a number greater than 0 and at most 1, found 1.5/,
    );
    expect(() => ropeOf({ ...HEAD, partial_rotary_factor: 0.5 })).to.throw(
      /partial_rotary_factor other than 1 is not supported by this family, found 0.5/,
    );
  });

  it('are stretched for good by alpha, in families that have it', () => {
    const hunyuan = { theta: 10_000, readsAlpha: true };
    const alpha = { ...HEAD, rope_scaling: { type: 'dynamic', alpha: 1000, factor: 1 } };
    const rope = ropeOf(alpha, hunyuan);
    expect(rope.theta).to.equal(10_000 * 1000 ** (16 / 14));
    expect(isLengthDependent(rope)).to.equal(false);
    expect(
      isLengthDependent(ropeOf({ ...HEAD, rope_scaling: { type: 'dynamic', factor: 2 } }, hunyuan)),
    ).to.equal(true);
    const named = { ...hunyuan, typeNames: { xdrope: 'dynamic' } } as const;
    expect(ropeOf({ ...HEAD, rope_scaling: { type: 'xdrope', alpha: 1000 } }, named)).to.deep.equal(rope);
    expect(() => ropeOf({ ...HEAD, rope_scaling: { type: 'xdrope', alpha: 1000 } }, hunyuan)).to.throw(
      /type must be one of default, .*found "xdrope"/,
    );
    expect(() => ropeOf(alpha)).to.throw(
      /rope_scaling.alpha: turns .* in another way, and this family does not read it, found 1000/,
    );
  });

  it('take all positions as the original length where nothing says it, as transformers does', () => {
    const bands = { factor: 8, low_freq_factor: 1, high_freq_factor: 4 };
    const factors = { short_factor: Array(8).fill(1), long_factor: Array(8).fill(2) };
    for (const scaling of [
      { type: 'yarn', factor: 4 },
      { type: 'llama3', ...bands },
      { type: 'longrope', ...factors },
    ]) {
      const length = { original_max_position_embeddings: 64 };
      const silent = ropeOf({ ...HEAD, rope_scaling: scaling });
      expect(silent).to.deep.equal(ropeOf({ ...HEAD, rope_scaling: { ...scaling, ...length } }));
      expect(silent.scaling).to.deep.include({ originalMaxPositionEmbeddings: 64 });
    }
  });

  it('accept both spellings when they mean the same', () => {
    const both = (scaling: ConfigDict, parameters: ConfigDict, extra: ConfigDict = {}) =>
      ropeOf({ ...HEAD, rope_scaling: scaling, rope_parameters: parameters, ...extra });
    const linear = { factor: 8, type: 'linear' };
    expect(both(linear, { rope_type: 'linear', factor: 8, rope_theta: 10_000 }).scaling).to.deep.equal({
      type: 'linear',
      factor: 8,
    });
    expect(both({}, { rope_type: 'linear', factor: 8 }).scaling.type).to.equal('linear');
    expect(both(linear, { ...linear, rope_theta: 500 }, { rope_theta: 500 }).theta).to.equal(500);
    expect(() => both(linear, { ...linear, rope_theta: 500 })).to.throw(/contradict each other/);
    expect(() => both(linear, { rope_type: 'default' })).to.throw(/contradict each other/);
  });
});
