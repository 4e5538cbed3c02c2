import { expect } from 'chai';
import { integerRows } from '../../src/weights/integer-rows.js';
import { Linear, type LinearOptions } from '../../src/weights/linear.js';
import {
  FOUR_BIT_MODES,
  type LinearQuant,
  QUANTIZE_MODES,
  type QuantForm,
  type QuantizeOptions,
  quantizationPlan,
} from '../../src/weights/quantization.js';
import { declaredWeights, type WeightSource, Weights, weightDesc } from '../../src/weights/weights.js';
import { failure } from './safetensors-writer.js';

const PARTS = [
  { name: 'q_proj', outFeatures: 8 },
  { name: 'k_proj', outFeatures: 4 },
  { name: 'v_proj', outFeatures: 4 },
] as const;
const QKV: LinearOptions = { name: 'query_key_value', parts: PARTS, inFeatures: 96 };

/** Every tensor exists, in a file of its name; linears are stored as `quants` says. */
function stored(quants: (linear: string) => LinearQuant | undefined, offsets = false): Weights {
  const source: WeightSource = {
    label: 'model',
    has: (name) => offsets && /offset$/.test(name),
    find: (name, shape) => {
      const isInteger = name.endsWith('.weight') && quants(name.replace(/\.weight$/, '')) !== undefined;
      const dtype = isInteger ? 'i8' : 'f32';
      return { name, dtype, shape, parts: [{ file: `${name}.bin`, offset: 0, dtype, shape }] };
    },
    quantOf: quants,
  };
  return new Weights(source, '', { dtype: 'bf16' });
}
const storedAs = (form: QuantForm): LinearQuant => ({ ...form, rows: integerRows(form) });
const int8 = storedAs({ desc: 'W8A16', groupSize: 0 });
const int4 = storedAs({ desc: 'W4A16', groupSize: 64 });

const shown = (linear: Linear): string[] =>
  linear.getWeights().map((ref) => {
    const { dtype, shape } = weightDesc(ref, 'bf16');
    return `${ref.name} ${dtype}[${shape}]`;
  });

describe('quantised linears', () => {
  it('that are made at load are packed as floats are, with an order to quantise them', () => {
    const weights = new Weights(
      {
        label: 'model',
        has: () => false,
        find: (name, shape) => ({
          name,
          dtype: 'f32',
          shape,
          parts: [{ file: `${name}.bin`, offset: 0, dtype: 'f32', shape }],
        }),
      },
      '',
      { dtype: 'bf16', quantization: quantizationPlan({ quantize: 'w4a16', quantGroupSize: 64 }) },
    );
    const linear = Linear.load(weights.at('attn'), { ...QKV, hasBias: true });
    expect([linear.desc, linear.groupSize, linear.dtype]).to.deep.equal(['W4A16', 64, 'bf16']);
    expect(shown(linear)).to.deep.equal([
      'attn.query_key_value.weight i8[16,48]',
      'attn.query_key_value.weight_scale bf16[16,2]',
      'attn.query_key_value.weight_offset bf16[16,2]',
      'attn.query_key_value.bias f32[16]',
    ]);
    expect(linear.weight.parts.map(({ shape }) => shape)).to.deep.equal([
      [8, 96],
      [4, 96],
      [4, 96],
    ]);
    expect(linear.weight.quantized).to.deep.include({
      role: 'weight',
      bits: 4,
      groupSize: 64,
      activations: 'float',
      scaleName: 'attn.query_key_value.weight_scale',
      isStored: false,
    });
    expect(linear.scale?.parts).to.deep.equal([]);
  });

  it('that are stored have the integers and scales of their parts, one below the other', () => {
    const linear = Linear.load(stored(() => int4).at('attn'), QKV);
    expect(linear.weight.parts.map(({ file, shape }) => `${file} ${shape}`)).to.deep.equal([
      'attn.q_proj.weight.bin 8,48',
      'attn.k_proj.weight.bin 4,48',
      'attn.v_proj.weight.bin 4,48',
    ]);
    expect(linear.scale?.parts.map(({ file, shape }) => `${file} ${shape}`)).to.deep.equal([
      'attn.q_proj.weight_scale.bin 8,2',
      'attn.k_proj.weight_scale.bin 4,2',
      'attn.v_proj.weight_scale.bin 4,2',
    ]);
    expect(linear.weight.quantized).to.include({ isStored: true, inFeatures: 96 });
  });

  it('keep the offsets that files bring, to be checked', () => {
    const linear = Linear.load(stored(() => int8, true).at('attn'), QKV);
    const { quantized } = linear.weight;
    expect(quantized?.role === 'weight' && quantized.mustBeZero.map(({ file }) => file)).to.deep.equal([
      'attn.q_proj.weight_offset.bin',
      'attn.k_proj.weight_offset.bin',
      'attn.v_proj.weight_offset.bin',
    ]);
  });

  it('of int8 activations have scales in f32 and no offset', () => {
    const weights = declaredWeights('f16', quantizationPlan({ quantize: 'w8a8_dynamic' }));
    const linear = Linear.load(weights, QKV);
    expect(shown(linear)).to.deep.equal([
      'query_key_value.weight i8[16,96]',
      'query_key_value.weight_scale f32[16]',
    ]);
    expect([linear.dtype, linear.isFloat]).to.deep.equal(['f16', false]);
  });

  it('of 4 bits are to ATB the same whatever multiplies them', () => {
    const load = (quantize: 'w4a16' | 'w4a8_dynamic') =>
      Linear.load(declaredWeights('bf16', quantizationPlan({ quantize })), { ...QKV, hasBias: true });
    const [wide, narrow] = [load('w4a16'), load('w4a8_dynamic')];
    expect([narrow.desc, narrow.groupSize]).to.deep.equal(['W4A8_DYNAMIC', 64]);
    expect(narrow.weight.quantized).to.deep.include({ bits: 4, groupSize: 64, activations: 'int8' });
    expect(shown(narrow)).to.deep.equal(shown(wide));
  });

  const headOf = (options: QuantizeOptions): Linear => {
    const parts = [{ name: 'model.embed_tokens', outFeatures: 32 }] as const;
    const weights = declaredWeights('bf16', quantizationPlan(options));
    return Linear.load(weights, { name: 'lm_head', parts, inFeatures: 96, role: 'head' });
  };

  it('that make logits have 8 bits per channel in every mode, under a name of their own', () => {
    for (const quantize of QUANTIZE_MODES) {
      const head = headOf({ quantize });
      expect([head.desc, head.groupSize]).to.deep.equal(['W8A16', 0]);
      expect(head.weightNames()).to.deep.equal([
        'lm_head.weight',
        'lm_head.weight_scale',
        'lm_head.weight_offset',
      ]);
    }
  });

  it('that make logits may have a mode of their own, in groups of the same size', () => {
    const head = headOf({ quantize: 'w8a16', quantizeHead: 'w4a8_dynamic', quantGroupSize: 32 });
    expect([head.desc, head.groupSize]).to.deep.equal(['W4A8_DYNAMIC', 32]);
    const plan = quantizationPlan({ quantize: 'w8a16', quantizeHead: 'w4a8_dynamic' });
    expect(plan?.('l', 'projection')).to.deep.equal({ desc: 'W8A16', groupSize: 0 });
  });

  it('cannot be packed when their parts are stored in different ways', async () => {
    const mixed = stored((linear) => (/k_proj$/.test(linear) ? undefined : int8));
    const error = await failure('WEIGHT_QUANT_MIXED', () => Linear.load(mixed, QKV));
    expect(error.message).to.match(/q_proj W8A16\/0, k_proj FLOAT, v_proj W8A16\/0/);
  });

  it('refuse integers that are floats, and 4-bit rows that do not fill bytes', async () => {
    const floats = new Weights({
      label: 'model',
      has: () => false,
      find: (name, shape) => ({
        name,
        dtype: 'bf16',
        shape,
        parts: [{ file: 'f', offset: 0, dtype: 'bf16', shape }],
      }),
      quantOf: () => int8,
    });
    await failure('WEIGHT_DTYPE_UNSUPPORTED', () => Linear.load(floats, QKV));
    const plan = quantizationPlan({ quantize: 'w4a16' });
    const odd = () => Linear.load(declaredWeights('bf16', plan), { parts: [PARTS[0]], inFeatures: 97 });
    expect((await failure('WEIGHT_QUANT_SHAPE', odd)).message).to.match(/97 input channels of 4 bits/);
  });
});

describe('options of quantising', () => {
  it('are absent for floats', () => {
    expect(quantizationPlan({})).to.equal(undefined);
  });

  it('have groups of 64 unless they say otherwise, with 4 bits only', async () => {
    for (const quantize of FOUR_BIT_MODES) {
      const groupSize = (options: QuantizeOptions) =>
        quantizationPlan(options)?.('l', 'projection')?.groupSize;
      expect(groupSize({ quantize })).to.equal(64);
      expect(groupSize({ quantize, quantGroupSize: 128 })).to.equal(128);
    }
    expect(quantizationPlan({ quantize: 'w8a16' })?.('l', 'projection')?.groupSize).to.equal(0);
    for (const wrong of [
      { quantize: 'w4a16', quantGroupSize: 48 } as const,
      { quantize: 'w8a16', quantGroupSize: 64 } as const,
      { quantGroupSize: 64 },
      { quantize: 'w2a2' as 'w8a16' },
      { quantizeHead: 'w4a16' } as const,
      { quantize: 'w8a16', quantizeHead: 'w2a2' as 'w8a16' } as const,
      { quantize: 'w8a16', quantizeHead: 'w8a8_dynamic', quantGroupSize: 64 } as const,
    ])
      await failure('REQUEST_INVALID', () => quantizationPlan(wrong));
  });
});
