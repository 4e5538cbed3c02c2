import { expect } from 'chai';
import type { DType } from '../../src/dtype.js';
import { Linear } from '../../src/weights/linear.js';
import { declaredWeights, Weights } from '../../src/weights/weights.js';

const PARTS = [
  { name: 'q_proj', outFeatures: 8 },
  { name: 'k_proj', outFeatures: 4 },
  { name: 'v_proj', outFeatures: 4 },
] as const;

/** Weights whose bytes would lie one after another in one file. */
const stored = (dtype: DType): Weights =>
  new Weights({
    label: 'model',
    has: () => true,
    find: (name, shape) => ({
      name,
      dtype,
      shape,
      parts: [{ file: `${name}.bin`, offset: 0, dtype, shape }],
    }),
  });

describe('Linear', () => {
  it('packs projections by rows, in their order, under a name of its own', () => {
    const linear = Linear.load(stored('bf16').at('self_attn'), {
      name: 'query_key_value',
      parts: PARTS,
      inFeatures: 16,
      hasBias: true,
    });
    expect(linear.getWeights().map(({ name, shape }) => `${name}[${shape}]`)).to.deep.equal([
      'self_attn.query_key_value.weight[16,16]',
      'self_attn.query_key_value.bias[16]',
    ]);
    expect(linear.weight.parts.map(({ file }) => file)).to.deep.equal(
      ['q_proj', 'k_proj', 'v_proj'].map((name) => `self_attn.${name}.weight.bin`),
    );
    expect([linear.outFeatures, linear.hasBias, linear.desc]).to.deep.equal([16, true, 'BFLOAT16']);
  });

  it('of one projection keeps its name', () => {
    const linear = Linear.load(declaredWeights('f16'), { parts: [PARTS[0]], inFeatures: 16 });
    expect(linear.weightNames()).to.deep.equal(['q_proj.weight']);
    expect([linear.name, linear.desc, linear.hasBias]).to.deep.equal(['q_proj', 'FLOAT16', false]);
  });

  it('refuses a dtype that no builder knows', () => {
    const load = () => Linear.load(stored('i8'), { parts: [PARTS[0]], inFeatures: 16 });
    expect(load).to.throw(
      /WEIGHT_DTYPE_UNSUPPORTED: weight "q_proj.weight" in q_proj.weight.bin has dtype i8, .* f32, f16, bf16/,
    );
  });
});
