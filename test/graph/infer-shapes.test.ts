import { expect } from 'chai';
import type { DType } from '../../src/dtype.js';
import { dim } from '../../src/graph/atb-graph.js';
import { inferShapes, type TensorDesc, viewShape } from '../../src/graph/infer-shapes.js';
import type { AtbOpParams, AtbOpType } from '../../src/graph/ops/index.js';

const bf16 = (...shape: number[]): TensorDesc => ({ dtype: 'bf16', shape });
const of = (dtype: DType, ...shape: number[]): TensorDesc => ({ dtype, shape });

const infer = <T extends AtbOpType>(type: T, param: AtbOpParams[T], ...inputs: TensorDesc[]) =>
  inferShapes(type, param, inputs, { graph: 'g', op: 'op' }).map(({ dtype, shape }) => `${dtype}[${shape}]`);

const HEADS = { headNum: 4, kvHeadNum: 2, qkScale: 0.5 } as const;
const [q, k, cache] = [bf16(5, 4, 8), bf16(5, 2, 8), bf16(3, 16, 2, 8)];
const [lens, tables] = [of('i32', 2), of('i32', 2, 4)];

describe('shape inference', () => {
  it('knows every operation that models use', () => {
    expect(infer('Gather', { axis: 0 }, bf16(10, 8), of('i64', 5))).to.deep.equal(['bf16[5,8]']);
    expect(infer('Gather', { axis: 1 }, bf16(10, 8), of('i64', 2, 3))).to.deep.equal(['bf16[10,2,3]']);
    expect(
      infer('Linear', { transposeB: true, hasBias: true }, bf16(5, 8), bf16(6, 8), bf16(6)),
    ).to.deep.equal(['bf16[5,6]']);
    expect(infer('Linear', { transposeB: false, hasBias: false }, bf16(2, 5, 8), bf16(8, 6))).to.deep.equal([
      'bf16[2,5,6]',
    ]);
    expect(infer('Split', { splitDim: 1, splitNum: 3, splitSizes: [4, 2, 2] }, bf16(5, 8))).to.deep.equal([
      'bf16[5,4]',
      'bf16[5,2]',
      'bf16[5,2]',
    ]);
    expect(infer('Split', { splitDim: -1, splitNum: 2 }, bf16(5, 8))).to.deep.equal([
      'bf16[5,4]',
      'bf16[5,4]',
    ]);
    expect(infer('Slice', { offsets: [0, -3], size: [-1, 2] }, bf16(5, 8))).to.deep.equal(['bf16[5,2]']);
    expect(infer('Concat', { concatDim: 1 }, bf16(5, 8), bf16(5, 2))).to.deep.equal(['bf16[5,10]']);
    expect(infer('Transpose', { perm: [1, 0, 2] }, bf16(2, 5, 8))).to.deep.equal(['bf16[5,2,8]']);
    expect(infer('Elewise', { elewiseType: 'ELEWISE_MUL' }, bf16(5, 8), bf16(8))).to.deep.equal([
      'bf16[5,8]',
    ]);
    expect(
      infer('Elewise', { elewiseType: 'ELEWISE_CAST', outTensorType: 'ACL_FLOAT' }, bf16(5)),
    ).to.deep.equal(['f32[5]']);
    expect(
      infer('Activation', { activationType: 'ACTIVATION_SWIGLU_FORWARD', dim: -1 }, bf16(5, 8)),
    ).to.deep.equal(['bf16[5,4]']);
    expect(
      infer('Rope', { rotaryCoeff: 2 }, bf16(5, 32), bf16(5, 16), bf16(5, 8), bf16(5, 8), lens),
    ).to.deep.equal(['bf16[5,32]', 'bf16[5,16]']);
    expect(infer('ReshapeAndCache', {}, k, k, cache, cache, of('i32', 5))).to.deep.equal([
      'bf16[3,16,2,8]',
      'bf16[3,16,2,8]',
    ]);
    expect(infer('Sort', { num: [3] }, bf16(5, 8))).to.deep.equal(['bf16[5,3]', 'i32[5,3]']);
    expect(infer('DynamicQuant', {}, bf16(5, 8))).to.deep.equal(['i8[5,8]', 'f32[5]']);
  });

  it('knows attention to chosen keys', () => {
    const keys = bf16(3, 16, 1, 8);
    const sequences = [tables, lens, lens];
    const choose = (...queries: TensorDesc[]) =>
      infer('LightningIndexer', { headNum: 4, topK: 6 }, ...queries, keys, ...sequences);
    expect(choose(q, of('f32', 5, 4))).to.deep.equal(['i32[5,6]']);
    expect(choose(bf16(5, 32), of('f32', 5, 4))).to.deep.equal(['i32[5,6]']);
    expect(() => choose(q, of('f32', 5, 3))).to.throw(/input 1 must be \[5,4\], found \[5,3\]/);
    expect(() => choose(bf16(5, 4, 9), of('f32', 5, 4))).to.throw(/numbers of a query must be 32, found 36/);
    const attend = (mlaVHeadSize: number, ...inputs: TensorDesc[]) =>
      infer('SparseAttention', { headNum: 4, qkScale: 0.5, mlaVHeadSize }, ...inputs);
    expect(attend(6, q, keys, ...sequences, of('i32', 5, 6))).to.deep.equal(['bf16[5,4,6]']);
    expect(() => attend(9, q, keys, ...sequences, of('i32', 5, 6))).to.throw(/9 is more than a key has, 8/);
    expect(() => attend(6, q, keys, ...sequences, of('i32', 4, 6))).to.throw(
      /chosen keys must be 5, found 4/,
    );
    expect(() => attend(6, q, cache, ...sequences, of('i32', 5, 6))).to.throw(
      /heads of the cache must be 1, found 2/,
    );
  });

  it('knows attention to chosen blocks', () => {
    const sequences = [tables, lens, lens];
    const choose = (...inputs: TensorDesc[]) =>
      infer(
        'LightningIndexer',
        { headNum: 2, topK: 3, blockSize: 32, localBlocks: 1 },
        ...inputs,
        ...sequences,
      );
    expect(choose(bf16(5, 16), bf16(3, 16, 1, 8))).to.deep.equal(['i32[5,6]']);
    expect(() => choose(bf16(5, 16), cache)).to.throw(/heads of the cache must be 1, found 2/);
    const attend = (...inputs: TensorDesc[]) =>
      infer('BlockAttention', { headNum: 4, kvHeadNum: 2, qkScale: 0.5, blockSize: 32 }, ...inputs);
    const values = bf16(3, 16, 2, 24);
    expect(attend(q, cache, values, ...sequences, of('i32', 5, 6))).to.deep.equal(['bf16[5,4,24]']);
    expect(() => attend(q, cache, values, ...sequences, of('i32', 5, 5))).to.throw(
      /chosen blocks \(5\) must be as many for each of 2 heads of keys/,
    );
    expect(() => attend(q, cache, bf16(4, 16, 2, 8), ...sequences, of('i32', 5, 6))).to.throw(
      /input 2 must be \[3,16,2,8\], found \[4,16,2,8\]/,
    );
  });

  it('knows the norms in both forms', () => {
    const prenorm = { layerType: 'RMS_NORM_PRENORM', preNormParam: { epsilon: 1e-6 } } as const;
    expect(infer('RmsNorm', prenorm, bf16(5, 8), bf16(5, 8), bf16(8))).to.deep.equal([
      'bf16[5,8]',
      'bf16[5,8]',
    ]);
    const norm = { layerType: 'LAYER_NORM_NORM', normParam: { epsilon: 1e-5, beginNormAxis: 1 } } as const;
    expect(infer('LayerNorm', norm, bf16(5, 8), bf16(8), bf16(8))).to.deep.equal(['bf16[5,8]']);
  });

  it('wants a weight for all axes that LayerNorm normalises together', () => {
    const from = (beginNormAxis: number) =>
      ({ layerType: 'LAYER_NORM_NORM', normParam: { epsilon: 1e-5, beginNormAxis } }) as const;
    const heads = bf16(5, 4, 8);
    expect(infer('LayerNorm', from(2), heads, bf16(8), bf16(8))).to.deep.equal(['bf16[5,4,8]']);
    expect(infer('LayerNorm', from(1), heads, bf16(32), bf16(32))).to.deep.equal(['bf16[5,4,8]']);
    expect(() => infer('LayerNorm', from(1), heads, bf16(8), bf16(8))).to.throw(
      /size of input 1 must be 32, found 8/,
    );
  });

  it('knows attention in every phase', () => {
    const encoder = { calcType: 'PA_ENCODER', ...HEADS, maskType: 'MASK_TYPE_NORM', isTriuMask: 1 } as const;
    expect(infer('SelfAttention', encoder, q, k, k, bf16(128, 128), lens)).to.deep.equal(['bf16[5,4,8]']);
    const others = [q, bf16(9, 2, 8), bf16(9, 2, 8)] as const;
    const unmasked = { calcType: 'PA_ENCODER', ...HEADS } as const;
    expect(infer('SelfAttention', unmasked, ...others, of('i32', 2, 3))).to.deep.equal(['bf16[5,4,8]']);
    const alike = () => infer('SelfAttention', unmasked, ...others, of('i32', 3));
    expect(alike).to.throw(/key tokens must be 5, found 9/);
    const masked = () => infer('SelfAttention', encoder, ...others, bf16(128, 128), of('i32', 2, 3));
    expect(masked).to.throw(/input 4 must have 1 axes/);
    expect(infer('PagedAttention', HEADS, bf16(2, 4, 8), cache, cache, tables, lens)).to.deep.equal([
      'bf16[2,4,8]',
    ]);
    const spec = { ...HEADS, maskType: 'MASK_TYPE_NORM', calcType: 'CALC_TYPE_SPEC' } as const;
    expect(infer('PagedAttention', spec, q, cache, cache, tables, lens, bf16(64, 64), lens)).to.deep.equal([
      'bf16[5,4,8]',
    ]);
  });

  it('packs two 4-bit weights in a byte along the axis that is contiguous', () => {
    const param = { transposeB: true, hasBias: false, quantGroupSize: 32 };
    const scales = [bf16(6), bf16(6)];
    expect(infer('W4A16MatMul', param, bf16(5, 8), of('i8', 6, 4), ...scales)).to.deep.equal(['bf16[5,6]']);
    expect(
      infer('W4A16MatMul', { ...param, transposeB: false }, bf16(5, 8), of('i8', 8, 3), ...scales),
    ).to.deep.equal(['bf16[5,6]']);
  });

  it('knows what products of integers may give beyond ATB, and rows of integers as floats', () => {
    const wide = { transposeB: true, hasBias: false, quantGroupSize: 0, outDataType: 'ACL_FLOAT' } as const;
    const [x, w, s] = [bf16(5, 8), of('i8', 6, 8), of('f32', 6, 1)];
    expect(infer('W8A16MatMul', wide, x, w, s, s)).to.deep.equal(['f32[5,6]']);
    const w8a8 = { transposeB: true, hasPerTokenScale: true } as const;
    const int8 = [of('i8', 5, 8), w, s, of('f32', 5)];
    expect(infer('W8A8MatMul', w8a8, ...int8)).to.deep.equal(['bf16[5,6]']);
    expect(infer('W8A8MatMul', { ...w8a8, isBF16: false }, ...int8)).to.deep.equal(['f16[5,6]']);
    expect(infer('W8A8MatMul', { ...w8a8, outDataType: 'ACL_FLOAT' }, ...int8)).to.deep.equal(['f32[5,6]']);
    const ids = of('i64', 3);
    expect(infer('GatherDequant', { outDataType: 'ACL_BF16' }, w, ids, s)).to.deep.equal(['bf16[3,8]']);
    const int4 = { weightBits: 4, quantGroupSize: 32, outDataType: 'ACL_FLOAT' } as const;
    expect(infer('GatherDequant', int4, of('i8', 6, 32), ids, of('f32', 6, 2))).to.deep.equal(['f32[3,64]']);
    expect(() => infer('GatherDequant', int4, of('i8', 6, 32), ids, of('f32', 5, 2))).to.throw(
      /rows of scales must be 6, found 5/,
    );
  });

  it('knows the fused operations that passes make', () => {
    const fused = { normEpsilon: 1e-6, hasBias: true, hasResidual: true, activation: 'swiglu' } as const;
    const inputs = [bf16(5, 8), bf16(8), bf16(12, 8), bf16(12), bf16(5, 6)];
    expect(infer('FusedLinear', fused, ...inputs)).to.deep.equal(['bf16[5,6]']);
    expect(infer('FusedLinear', {}, bf16(5, 8), bf16(12, 8))).to.deep.equal(['bf16[5,12]']);
    const adding = { layerType: 'RMS_NORM_NORM', normParam: { epsilon: 1e-6 }, hasResidual: true } as const;
    expect(infer('RmsNorm', adding, bf16(5, 8), bf16(8), bf16(5, 8))).to.deep.equal(['bf16[5,8]']);
    const layer = { normEpsilon: 1e-6, normType: 'layer' } as const;
    expect(infer('FusedLinear', layer, bf16(5, 8), bf16(8), bf16(8), bf16(12, 8))).to.deep.equal([
      'bf16[5,12]',
    ]);
    expect(() => infer('FusedLinear', layer, bf16(5, 8), bf16(8), bf16(7), bf16(12, 8))).to.throw(
      /beta's size must be 8, found 7/,
    );
    const int4 = { weightBits: 4, quantGroupSize: 32, hasBias: true, activation: 'swiglu' } as const;
    const quantized = [bf16(5, 64), of('i8', 12, 32), of('f32', 12, 2), bf16(12)];
    expect(infer('FusedLinear', int4, ...quantized)).to.deep.equal(['bf16[5,6]']);
    expect(() => infer('FusedLinear', { weightBits: 8 }, ...quantized.slice(0, 3))).to.throw(
      /inner size must be 64, found 32/,
    );
    const products = [bf16(5, 2, 8), bf16(5, 2, 1), bf16(5, 1, 8)];
    expect(infer('FusedMultiply', { follow: 'add' }, ...products)).to.deep.equal(['bf16[5,2,8]']);
    expect(infer('FusedMultiply', { follow: 'sum' }, ...products.slice(0, 2))).to.deep.equal(['bf16[5,8]']);
    expect(() => infer('FusedMultiply', { follow: 'sum' }, bf16(5, 8), bf16(5, 8))).to.throw(
      /\[5,8\] has fewer than three axes/,
    );
    const unrotated = [bf16(5, 64), cache, cache, of('i32', 5)];
    const qkv = [...unrotated, bf16(5, 8), bf16(5, 8)];
    const out = ['bf16[5,32]', 'bf16[3,16,2,8]', 'bf16[3,16,2,8]'];
    expect(infer('QkvRopeCache', { headNum: 4, kvHeadNum: 2, headDim: 8 }, ...qkv)).to.deep.equal(out);
    const still = { headNum: 4, kvHeadNum: 2, headDim: 8, rotaryCoeff: 0 } as const;
    expect(infer('QkvRopeCache', still, ...unrotated)).to.deep.equal(out);
    expect(() => infer('QkvRopeCache', { headNum: 5, kvHeadNum: 2, headDim: 8 }, ...qkv)).to.throw(
      /columns of qkv must be 72, found 64/,
    );
  });

  it('names what does not fit', () => {
    const cases: [RegExp, () => unknown][] = [
      [
        /inner size must be 8, found 7/,
        () => infer('Linear', { transposeB: true, hasBias: false }, bf16(5, 8), bf16(6, 7)),
      ],
      [
        /bias size must be 6, found 5/,
        () => infer('Linear', { transposeB: true, hasBias: true }, bf16(5, 8), bf16(6, 8), bf16(5)),
      ],
      [
        /one dtype, found bf16 and f32/,
        () => infer('Linear', { transposeB: true, hasBias: false }, bf16(5, 8), of('f32', 6, 8)),
      ],
      [
        /sum of splitSizes must be 8, found 9/,
        () => infer('Split', { splitDim: 1, splitNum: 2, splitSizes: [4, 5] }, bf16(5, 8)),
      ],
      [/7 does not divide into 2/, () => infer('Split', { splitDim: 1, splitNum: 2 }, bf16(5, 7))],
      [/axis 2 does not exist/, () => infer('Gather', { axis: 2 }, bf16(5, 8), of('i64', 1))],
      [
        /a slice of 4 from 6 leaves axis 1/,
        () => infer('Slice', { offsets: [0, 6], size: [5, 4] }, bf16(5, 8)),
      ],
      [
        /\[5,8\] and \[7\] do not broadcast/,
        () => infer('Elewise', { elewiseType: 'ELEWISE_ADD' }, bf16(5, 8), bf16(7)),
      ],
      [
        /2 or 4 axes, found \[5,4,8\]/,
        () => infer('Rope', { rotaryCoeff: 2 }, q, q, bf16(5, 8), bf16(5, 8), lens),
      ],
      [
        /rows of cos must be 5, found 4/,
        () => infer('Rope', { rotaryCoeff: 2 }, bf16(5, 32), bf16(5, 16), bf16(4, 8), bf16(4, 8), lens),
      ],
      [
        /heads of the cache must be 2, found 4/,
        () => infer('ReshapeAndCache', {}, k, k, bf16(3, 16, 4, 8), bf16(3, 16, 4, 8), of('i32', 5)),
      ],
      [
        /query tokens must be 2, found 5/,
        () => infer('PagedAttention', HEADS, q, cache, cache, tables, lens),
      ],
      [
        /query heads must be 4, found 2/,
        () => infer('PagedAttention', HEADS, bf16(2, 2, 8), cache, cache, tables, lens),
      ],
    ];
    for (const [message, action] of cases) expect(action).to.throw(message);
  });

  it('keeps the number of elements of a view', () => {
    const place = { graph: 'g', view: 'v' };
    expect(viewShape([5, 32], [dim(0), 4, 8], place)).to.deep.equal([5, 4, 8]);
    expect(viewShape([5, 4, 8], [dim(0), dim(1, 2)], place)).to.deep.equal([5, 32]);
    expect(() => viewShape([5, 32], [dim(0), 4, 7], place)).to.throw(/cannot show \[5,32\] as \[5,4,7\]/);
    expect(() => viewShape([5, 32], [dim(2)], place)).to.throw(/names axis 2 of \[5,32\]/);
  });
});
