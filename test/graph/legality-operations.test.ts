import { expect } from 'chai';
import { ATB_DTYPE_NAME } from '../../src/dtype.js';
import type { FlatGraph, FlatNode } from '../../src/graph/flatten.js';
import type { TensorDesc } from '../../src/graph/infer-shapes.js';
import { assertLegal, legalityProblems } from '../../src/graph/legality.js';
import { problemText } from '../../src/graph/legality-problem.js';

const of =
  (dtype: TensorDesc['dtype']) =>
  (...shape: number[]): TensorDesc => ({ dtype, shape });
const [bf16, f16, f32, i8, i32, i64] = [of('bf16'), of('f16'), of('f32'), of('i8'), of('i32'), of('i64')];

interface Case {
  readonly type: string;
  readonly param: object;
  readonly inputs: readonly TensorDesc[];
  readonly outputs?: number;
}

/** What is wrong, what of a legal operation becomes what, and what is said of it. */
type Wrong = readonly [what: string, change: Partial<Case>, says: RegExp];

function graphOf({ type, param, inputs, outputs = 1 }: Case): FlatGraph {
  const names = inputs.map((_, index) => `in${index}`);
  const out = Array.from({ length: outputs }, (_, index) => `out${index}`);
  return {
    name: 'g',
    inputs: Object.fromEntries(
      inputs.map(({ dtype, shape }, index) => [`in${index}`, { dtype: ATB_DTYPE_NAME[dtype], shape }]),
    ),
    outputs: out,
    nodes: [{ type, param, in: names, out } as unknown as FlatNode],
  };
}

const norm = (normParam: object) => ({
  param: { layerType: 'RMS_NORM_NORM', normParam: { epsilon: 1e-5, ...normParam } },
});
const layerNorm = (normParam: object) => ({
  param: { layerType: 'LAYER_NORM_NORM', normParam: { epsilon: 1e-5, beginNormAxis: 1, ...normParam } },
});
const SELF = { calcType: 'PA_ENCODER', headNum: 4, kvHeadNum: 2, qkScale: 0.5 };
const PAGED = { headNum: 4, kvHeadNum: 2, qkScale: 0.5 };
const SPEC = { ...PAGED, calcType: 'CALC_TYPE_SPEC', maskType: 'MASK_TYPE_NORM' };
const cache = bf16(3, 16, 2, 16);
const paged = [bf16(2, 4, 16), cache, cache, i32(2, 4), i32(2)];
const several = [...paged, bf16(8, 8), i32(2)];
const self = (change: object): Partial<Case> => ({ param: { ...SELF, ...change } });
const against = (change: object): Partial<Case> => ({ param: { ...PAGED, ...change } });
const PARALLEL = { transWeight: true, backend: 'hccl', rank: 0, rankSize: 2 };
const parallel = (change: object): Partial<Case> => ({ param: { ...PARALLEL, ...change } });
const BOX = { starts: [0, 1], ends: [2, 3], strides: [1, 1] };
const INTEGERS = { transposeB: true, hasBias: true, outDataType: 'ACL_BF16' };
const int8 = [i8(4, 32), i8(16, 32), i32(16), f32(16)];
const quantised = [f16(4, 64), f16(64), f16(64), f16(1), i8(1)];
const summed = [f16(4, 64), f16(4, 64), f16(64), f16(64)];

// biome-ignore format: one rule a line
// Each rule was found by changing legal operations and asking ATB's own host code (ddcc8b6) of each.
const RULES: readonly (readonly [Case, ...Wrong[]])[] = [
  [
    { type: 'Where', param: {}, inputs: [i8(4, 1), f16(4, 8), f16(4, 8)] },
    ['a condition with more rows than a branch', { inputs: [i8(4, 1), f16(4, 8), f16(8)] }, /must broadcast to input 2, \[8\]/],
    ['a condition with more axes', { inputs: [i8(1, 4, 1), f16(4, 8), f16(1, 4, 8)] }, /must broadcast to input 1, \[4,8\]/],
  ],
  [
    { type: 'Softmax', param: { axes: [-1] }, inputs: [bf16(4, 8)] },
    ['no axis', { param: { axes: [] } }, /axes must name one/],
    ['an axis counted from the end', { param: { axes: [-2] } }, /axes must be -1 or more, found \[-2\]/],
    ['the last axis before the first', { param: { axes: [-1, 0] } }, /axes must be consecutive, found \[-1,0\]/],
  ],
  [
    { type: 'Reduce', param: { reduceType: 'REDUCE_SUM', axis: [1] }, inputs: [bf16(4, 8)] },
    ['no kind', { param: { axis: [1] } }, /reduceType must be REDUCE_MAX, REDUCE_MIN or REDUCE_SUM, found nothing/],
    ['an undefined kind', { param: { reduceType: 'REDUCE_UNDEFINED', axis: [1] } }, /reduceType must be defined/],
    ['no axis', { param: { reduceType: 'REDUCE_SUM', axis: [] } }, /axis must name one/],
    ['an axis counted from the end', { param: { reduceType: 'REDUCE_SUM', axis: [-1] } }, /axis must not be negative/],
    ['all axes', { param: { reduceType: 'REDUCE_SUM', axis: [0, 1] } }, /axis must leave one, found \[0,1\]/],
  ],
  [
    { type: 'Cumsum', param: { axes: [1] }, inputs: [bf16(4, 8)] },
    ['two axes', { param: { axes: [0, 1] } }, /axes must hold one number/],
    ['an axis counted from the end', { param: { axes: [-1] } }, /which is not negative, found \[-1\]/],
    ['sums without the number itself', { param: { axes: [1], exclusive: true } }, /exclusive must be false, found true/],
    ['sums from the end', { param: { axes: [1], reverse: true } }, /reverse must be false, found true/],
  ],
  [
    { type: 'Repeat', param: { multiples: [2, 3] }, inputs: [bf16(4, 8)] },
    ['no copies', { param: { multiples: [0, 1] } }, /multiples must be positive, found \[0,1\]/],
  ],
  [
    { type: 'Fill', param: { withMask: true, value: [1.5] }, inputs: [bf16(4, 8), i8(4, 8)] },
    ['two values', { param: { withMask: true, value: [1, 2] } }, /value must hold one number, found \[1,2\]/],
    ['a mask of other rows', { inputs: [bf16(5, 8), i8(4, 8)] }, /the mask \[4,8\] must broadcast to \[5,8\]/],
    ['no size', { param: { value: [1] }, inputs: [] }, /outDim must be 1 to 8 positive sizes, found \[\]/],
    ['an empty axis', { param: { value: [1], outDim: [0] }, inputs: [] }, /outDim must be 1 to 8 positive sizes/],
  ],
  [
    { type: 'SetValue', param: BOX, inputs: [bf16(4, 8), bf16(2, 2)], outputs: 0 },
    ['more ends than starts', { param: { ...BOX, ends: [2, 3, 1] } }, /must be equally many, found 2,3,2/],
    ['every second number', { param: { ...BOX, ends: [2, 5], strides: [1, 2] } }, /strides must be 1, found \[1,2\]/],
    ['a box that ends where it starts', { param: { ...BOX, starts: [-1, 1], ends: [1, 3] } }, /starts must be from 0/],
    ['a part of two inner axes', { param: { starts: [0, 0, 0], ends: [1, 1, 1], strides: [1, 1, 1] }, inputs: [bf16(2, 2, 2), bf16(1, 1, 1)] }, /just one may be written in part, found 2/],
  ],
  [
    { type: 'Gather', param: { axis: 0 }, inputs: [bf16(10, 8), i64(4)] },
    ['an axis counted from the end', { param: { axis: -1 } }, /axis must not be negative/],
    ['batches behind the axis', { param: { axis: 0, batchDims: 1 }, inputs: [bf16(10, 8), i64(10, 4)] }, /nor batchDims outside 0 to axis, found 0 and 1/],
  ],
  [
    { type: 'GroupTopk', param: { groupNum: 4, k: 2, groupMultiFlag: 1, n: 2 }, inputs: [bf16(3, 8), i32(1024)] },
    ['no score', { param: { groupNum: 4, k: 2, n: 2 } }, /groupMultiFlag must be 0 or 1, found nothing/],
    ['a score that ATB does not have', { param: { groupNum: 4, k: 2, groupMultiFlag: 2, n: 2 } }, /groupMultiFlag must be 0 or 1, found 2/],
  ],
  [
    { type: 'Linear', param: INTEGERS, inputs: int8 },
    ['a result of f32', { param: { ...INTEGERS, outDataType: 'ACL_FLOAT' }, inputs: int8.slice(0, 3) }, /outDataType must be ACL_DT_UNDEFINED, ACL_FLOAT16 or ACL_BF16, found ACL_FLOAT/],
    ['two rows of bias', { inputs: int8.with(2, i32(2, 16)) }, /the batch of input 2 must be the weight's, 1, found 2/],
    ['scales of three axes', { inputs: int8.with(3, f32(1, 1, 16)) }, /input 3 must have 1 or 2 axes, found \[1,1,16\]/],
    ['words of scales for bf16', { inputs: int8.with(3, i64(16)) }, /takes int8 int8 int32 float > bf16/],
    ['a bias of floats', { inputs: int8.with(2, bf16(16)) }, /has dtypes int8 int8 bf16 float > bf16/],
  ],
  [
    { type: 'Linear', param: { transposeB: true, hasBias: false, enAccum: true }, inputs: [bf16(4, 32), bf16(16, 32), f32(4, 16)] },
    ['a bias beside what it adds to', { param: { transposeB: true, enAccum: true } }, /enAccum takes neither hasBias nor outDataType/],
    ['a dtype of the sum', { param: { transposeB: true, hasBias: false, enAccum: true, outDataType: 'ACL_BF16' } }, /enAccum takes neither hasBias nor outDataType/],
  ],
  [
    { type: 'Linear', param: { hasBias: false }, inputs: [bf16(3, 4, 32), bf16(3, 16, 32)] },
    ['weights that are not transposed, though they are by default', { inputs: [bf16(3, 4, 32), bf16(3, 32, 16)] }, /inner size must be 32, found 16/],
  ],
  [
    { type: 'LinearParallel', param: PARALLEL, inputs: [bf16(4, 32), bf16(16, 32)] },
    ['a root beyond the ranks', parallel({ rankRoot: 2 }), /rankRoot must be below rankSize, found 2 of 2/],
    ['three ranks of lcoc', parallel({ backend: 'lcoc', rankSize: 3 }), /lcoc takes powers of two as rankSize, found 3/],
    ['scattering by hccl', parallel({ type: 'LINEAR_REDUCE_SCATTER' }), /hccl takes LINEAR_ALL_REDUCE, found LINEAR_REDUCE_SCATTER/],
    ['no mode', parallel({ commMode: 'COMM_UNDEFINED' }), /commMode must be defined/],
    ['a second output', parallel({ keepIntermediate: true }), /keepIntermediate must be false, found true/],
    ['integers', parallel({ quantType: 'QUANT_TYPE_PER_TENSOR' }), /quantType must be QUANT_TYPE_UNDEFINED/],
    ['a weight of several matrices', { inputs: [bf16(2, 4, 32), bf16(2, 16, 32)] }, /the weight must be one matrix/],
  ],
  [
    { type: 'RmsNorm', ...norm({}), inputs: [bf16(4, 64), bf16(64)] },
    ['rows that are no whole 32 bytes', { inputs: [bf16(4, 24), bf16(24)] }, /rows must be of a multiple of 16 numbers, found 24/],
    ['a weight of two rows', { inputs: [bf16(2, 64), bf16(2, 64)] }, /input 1 must be \[64\], found \[2,64\]/],
    ['a fast norm of bf16', norm({ precisionMode: 'HIGH_PERFORMANCE_MODE' }), /HIGH_PERFORMANCE_MODE is for f16 alone/],
    ['another epsilon of 0', norm({ layerNormEps: 0 }), /layerNormEps must be positive, found 0/],
  ],
  [
    { type: 'RmsNorm', ...norm({ quantType: 'QUANT_INT8' }), inputs: quantised },
    ["gemma's weights", norm({ quantType: 'QUANT_INT8', modelType: 'GEMMA_MODEL' }), /GEMMA_MODEL is not for int8/],
    ['two scales', { inputs: quantised.with(3, f16(2)) }, /input 3 must be \[1\], found \[2\]/],
    ['weights of two shapes', { inputs: quantised.with(1, f16(1, 64)) }, /input 2 must be \[64\] and of the first weight's shape/],
  ],
  [
    { type: 'RmsNorm', param: { layerType: 'RMS_NORM_PRENORM', preNormParam: { epsilon: 1e-5, hasBias: true } }, inputs: [f16(4, 64), f16(64), f16(4, 64), f16(64)], outputs: 2 },
    ['a bias of another width', { inputs: [f16(4, 64), f16(65), f16(4, 64), f16(64)] }, /input 1 must be \[64\], found \[65\]/],
  ],
  [
    { type: 'LayerNorm', ...layerNorm({}), inputs: [bf16(4, 24), bf16(24), bf16(24)] },
    ['a column of offsets', { inputs: [bf16(4, 24), bf16(24), bf16(24, 1)] }, /the last axis of input 2 must be x's, 24/],
    ['scales of rows', layerNorm({ dynamicQuantType: 'DYNAMIC_QUANT_SYMMETRIC' }), /dynamicQuantType must be DYNAMIC_QUANT_UNDEFINED/],
  ],
  [
    { type: 'LayerNorm', ...layerNorm({ quantType: 'QUANT_INT8' }), inputs: quantised },
    ['two offsets', { inputs: quantised.with(4, i8(2)) }, /input 4 must be \[1\], found \[2\]/],
  ],
  [
    { type: 'LayerNorm', param: { layerType: 'LAYER_NORM_POSTNORM', postNormParam: { epsilon: 1e-5 } }, inputs: summed },
    ['rows that are no whole 32 bytes', { inputs: [f16(4, 24), f16(4, 24), f16(24), f16(24)] }, /rows must be of a multiple of 16 numbers, found 24/],
    ['another mode', { param: { layerType: 'LAYER_NORM_POSTNORM', postNormParam: { epsilon: 1e-5, 'opMode ': 1 } } }, /opMode {2}must be 0, found 1/],
  ],
  [
    { type: 'Rope', param: { rotaryCoeff: 2 }, inputs: [bf16(5, 64), bf16(5, 32), bf16(5, 32), bf16(5, 32), i32(2)], outputs: 2 },
    ['keys of other tokens', { inputs: [bf16(5, 64), bf16(4, 32), bf16(5, 32), bf16(5, 32), i32(2)] }, /q and k must have the same tokens, found 5 and 4/],
  ],
  [
    { type: 'ReshapeAndCache', param: {}, inputs: [bf16(5, 2, 16), bf16(5, 2, 16), cache, cache, i32(5)], outputs: 2 },
    ['compressed caches', { param: { compressType: 'COMPRESS_TYPE_KVHEAD' } }, /compressType must be COMPRESS_TYPE_UNDEFINED/],
  ],
  [
    { type: 'SelfAttention', param: SELF, inputs: [bf16(5, 4, 16), bf16(5, 2, 16), bf16(5, 2, 16), i32(2)] },
    ['no form', { param: PAGED }, /calcType must be PA_ENCODER, found nothing/],
    ['a form with caches', self({ calcType: 'DECODER' }), /calcType must be PA_ENCODER, found DECODER/],
    ['integers', self({ quantType: 'TYPE_QUANT_QKV_OFFLINE' }), /quantType must be TYPE_QUANT_UNDEFINED/],
    ['caches that are bypassed', self({ kvcacheCfg: 'K_BYPASS_V_BYPASS' }), /kvcacheCfg must be K_CACHE_V_CACHE/],
    ['logarithms of lengths', self({ scaleType: 'SCALE_TYPE_LOGN' }), /scaleType must be SCALE_TYPE_TOR/],
    ['heads before tokens', self({ inputLayout: 'TYPE_BNSD' }), /inputLayout must be TYPE_BSND/],
    ['compressed masks', { ...self({ maskType: 'MASK_TYPE_NORM_COMPRESS' }), inputs: [bf16(5, 4, 16), bf16(5, 2, 16), bf16(5, 2, 16), bf16(5, 5), i32(2)] }, /maskType must be one of .* found MASK_TYPE_NORM_COMPRESS/],
  ],
  [
    { type: 'PagedAttention', param: PAGED, inputs: paged },
    ['integers', against({ quantType: 'TYPE_DEQUANT_FUSION' }), /quantType must be TYPE_QUANT_UNDEFINED/],
    ['compressed caches', against({ compressType: 'COMPRESS_TYPE_KVHEAD' }), /compressType must be COMPRESS_TYPE_UNDEFINED/],
    ['logarithms of lengths', against({ scaleType: 'SCALE_TYPE_LOGN' }), /scaleType must be SCALE_TYPE_TOR/],
    ['heads before tokens', against({ inputLayout: 'TYPE_BNSD' }), /inputLayout must be TYPE_BSND/],
    ['batches that come and go', against({ batchRunStatusEnable: true }), /batchRunStatusEnable must be false, found true/],
    ['lengths of two axes', { inputs: paged.with(4, i32(2, 1)) }, /contextLens must have one axis, found \[2,1\]/],
    ['values that are too large', { inputs: paged.with(2, bf16(3, 16, 2, 1024)) }, /values must have at most 576 numbers, found 1024/],
    ['a part of a number as values', { param: { ...PAGED, kvHeadNum: 1, mlaVHeadSize: 0.5 } }, /mlaVHeadSize must be an integer, found 0.5/],
  ],
  [
    { type: 'PagedAttention', param: SPEC, inputs: several },
    ['values of another size than keys', { inputs: several.with(2, bf16(3, 16, 2, 32)) }, /CALC_TYPE_SPEC takes values of the size of keys, 16, found 32/],
  ],
];

describe('the rules of single operations in ATB', () => {
  for (const [legal, ...wrongs] of RULES) {
    it(`admit ${legal.type} of ${JSON.stringify(legal.param)}`, () => assertLegal(graphOf(legal)));
    for (const [what, change, says] of wrongs)
      it(`refuse ${legal.type} with ${what}`, () => {
        expect(
          legalityProblems(graphOf({ ...legal, ...change }))
            .map(problemText)
            .join('\n'),
        ).to.match(says);
      });
  }

  it('are not known of every op that ATB has, and then that is said', () => {
    for (const type of ['Gating', 'MultiLatentAttention', 'Multinomial']) {
      const problems = legalityProblems(graphOf({ type, param: {}, inputs: [bf16(4, 8)] })).map(problemText);
      expect(problems[0]).to.match(new RegExp(`: no rules are known for ATB's op ${type}$`));
    }
  });
});
