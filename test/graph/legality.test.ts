import { expect } from 'chai';
import type { FlatGraph, FlatNode } from '../../src/graph/flatten.js';
import { DECODE, SPLITFUSE } from '../../src/graph/graph-kind.js';
import { assertLegal, legalityProblems } from '../../src/graph/legality.js';
import { problemText } from '../../src/graph/legality-problem.js';
import { specProblems } from '../../src/graph/nested-legality.js';
import { applyPasses } from '../../src/graph/passes/index.js';
import { FOUR_BIT_MODES, QUANTIZE_MODES } from '../../src/weights/quantization.js';
import { familyKinds, familyModel, flat, stepDescs } from '../models/family-models.js';

const bf16 = (...shape: number[]) => ({ dtype: 'bf16', shape });
const i32 = (...shape: number[]) => ({ dtype: 'int32', shape });

function graph(node: object, inputs: FlatGraph['inputs'], out = ['y']): FlatGraph {
  const full = { in: Object.keys(inputs), out, ...node } as unknown as FlatNode;
  return { name: 'g', inputs, outputs: out, nodes: [full] };
}

const i8 = (...shape: number[]) => ({ dtype: 'int8', shape });
const f32 = (...shape: number[]) => ({ dtype: 'float', shape });

const xw = { x: bf16(5, 8), w: bf16(6, 8) };
const LINEAR = { transposeB: true, hasBias: false };
const WEIGHT_QUANT = { transposeB: true, hasBias: false, quantGroupSize: 0 };
const integers = { x: bf16(5, 64), w: i8(6, 64), s: bf16(6, 1), o: bf16(6, 1) };
const W8A8 = { transposeB: true, hasPerTokenScale: true };
const perToken = { x: i8(5, 64), w: i8(6, 64), s: f32(6), t: f32(5) };
const attention = { q: bf16(5, 4, 8), k: bf16(5, 2, 8), v: bf16(5, 2, 8) };
const rotary = (size: number) => ({
  q: bf16(5, 4 * size),
  k: bf16(5, 2 * size),
  c: bf16(5, size),
  s: bf16(5, size),
  len: i32(2),
});
const HEADS = { headNum: 4, kvHeadNum: 2, qkScale: 0.5 };
const one = { headNum: 1, kvHeadNum: 1, qkScale: 1 };
const SPEC = { calcType: 'CALC_TYPE_SPEC', maskType: 'MASK_TYPE_NORM' };
/** Tokens of one sequence, and what a step of split-fuse reads beside them. */
const cached = (heads: number, size: number, blockSize: number) => ({
  q: bf16(1, heads, size),
  k: bf16(3, blockSize, 1, size),
  v: bf16(3, blockSize, 1, size),
  t: i32(1, 4),
  len: i32(1),
});
const several = (heads: number, size: number, blockSize: number) => ({
  ...cached(heads, size, blockSize),
  m: bf16(8, 8),
  ql: i32(1),
});
/** The same without values, which are parts of keys. */
const latent = <T extends { readonly v: unknown }>({ v, ...others }: T) => others;
const TOPK = { groupNum: 2, k: 1, groupMultiFlag: 1, n: 2 };
const scores = { x: bf16(3, 8), i: i32(1024) };
const paged = { q: bf16(2, 4, 8), k: bf16(3, 16, 2, 8), v: bf16(3, 16, 2, 8), t: i32(2, 4), len: i32(2) };

const QUANTISATIONS = [
  { what: 'of floats', options: {} },
  ...QUANTIZE_MODES.map((quantize) => ({
    what: quantize,
    options: { quantize, ...(FOUR_BIT_MODES.includes(quantize) && { quantGroupSize: 32 }) },
  })),
];

describe('legality in ATB', () => {
  for (const { family, kind, phase } of familyKinds) {
    for (const { what, options } of QUANTISATIONS) {
      it(`holds for ${family} in ${phase}, ${what}, in bf16 and f16, on the portable graph`, async () => {
        for (const dtype of ['bf16', 'f16'] as const) {
          const model = await familyModel(family, dtype, options);
          const spec = model.buildGraph(kind);
          expect(legalityProblems(flat(model, spec, kind, dtype))).to.deep.equal([]);
          expect(specProblems(spec, stepDescs(model, kind, dtype))).to.deep.equal([]);
        }
      });
    }
  }

  it('marks fp32 as what ATB lacks: dtypes, and nothing else', async () => {
    const model = await familyModel('qwen3', 'f32');
    const problems = legalityProblems(flat(model, model.buildGraph(DECODE), DECODE, 'f32'));
    expect(problems).to.have.length.above(0);
    for (const { rule, text } of problems) {
      expect(rule).to.equal('dtype');
      expect(text).to.match(/has dtypes float/);
    }
  });

  it('marks the keys that engine passes add', async () => {
    const model = await familyModel('mistral');
    const spec = applyPasses(model.buildGraph(SPLITFUSE), ['implicit-masks']);
    const problems = legalityProblems(flat(model, spec, SPLITFUSE));
    const keys = problems.filter(({ rule }) => rule === 'extension-key').map(({ text }) => text);
    expect(keys.filter((text) => text === 'causal is an extension key')).to.have.length(3);
    expect(keys.filter((text) => text === 'windowSize is an extension key')).to.have.length(3);
  });

  it('marks logits of integers that are not rounded', async () => {
    const model = await familyModel('llama', 'bf16', { quantize: 'w8a16' });
    const spec = applyPasses(model.buildGraph(DECODE), ['logits-f32']);
    const problems = legalityProblems(flat(model, spec, DECODE));
    expect(problems).to.have.length(1);
    expect(problems.map(problemText)[0]).to.match(
      /W8A16MatMul -> model_out\): outDataType is an extension key/,
    );
  });

  const illegal: [string, FlatGraph, RegExp][] = [
    ['an extension op', graph({ type: 'FusedLinear', param: {} }, xw), /FusedLinear is an extension op/],
    ['an unknown op', graph({ type: 'Linearr', param: {} }, xw), /ATB has no op "Linearr"/],
    [
      'an op named after a property of objects',
      graph({ type: 'toString', param: {} }, xw),
      /ATB has no op "toString"/,
    ],
    [
      'an unknown key',
      graph({ type: 'Linear', param: { ...LINEAR, transB: true } }, xw),
      /has no key transB/,
    ],
    [
      'an unknown key in a block',
      graph(
        { type: 'RmsNorm', param: { layerType: 'RMS_NORM_NORM', normParam: { epsilon: 1e-5, eps: 1 } } },
        { x: bf16(5, 8), w: bf16(8) },
      ),
      /has no key normParam.eps/,
    ],
    [
      'an unknown enum string',
      graph({ type: 'Elewise', param: { elewiseType: 'ELEWISE_PLUS' } }, { x: bf16(5), y0: bf16(5) }),
      /elewiseType must be one of ELEWISE_UNDEFINED/,
    ],
    [
      'an integer for an enum',
      graph({ type: 'Elewise', param: { elewiseType: 8 } }, { x: bf16(5), y0: bf16(5) }),
      /elewiseType must be one of .*found 8/,
    ],
    [
      'a string for a flag',
      graph({ type: 'Linear', param: { ...LINEAR, hasBias: 'false' } }, xw),
      /hasBias must be true or false/,
    ],
    [
      'a missing tensor',
      graph({ type: 'Linear', param: { ...LINEAR, hasBias: true } }, xw),
      /reads 3 tensors, found 2/,
    ],
    [
      'a bias by default',
      graph({ type: 'Linear', param: { transposeB: true } }, xw),
      /reads 3 tensors, found 2/,
    ],
    [
      'a dtype without a row',
      graph(
        { type: 'Activation', param: { activationType: 'ACTIVATION_RELU' } },
        { x: { dtype: 'float16', shape: [5] } },
      ),
      /has dtypes float16 > float16; ActivationOperationRELU takes float/,
    ],
    [
      'an unknown dtype',
      graph({ type: 'Softmax', param: { axes: [0] } }, { x: { dtype: 'bfloat16', shape: [5] } }),
      /unknown dtype "bfloat16"/,
    ],
    [
      'a negative splitDim beside splitSizes',
      graph({ type: 'Split', param: { splitDim: -1, splitNum: 2, splitSizes: [2, 6] } }, { x: bf16(5, 8) }, [
        'a',
        'b',
      ]),
      /splitDim must not be negative/,
    ],
    [
      'a split in four',
      graph({ type: 'Split', param: { splitDim: 1, splitNum: 4 } }, { x: bf16(5, 8) }, ['a', 'b', 'c', 'd']),
      /splitNum must be 2 or 3, found 4/,
    ],
    [
      'a rope on three axes',
      graph(
        { type: 'Rope', param: { rotaryCoeff: 2 } },
        { q: bf16(5, 4, 8), k: bf16(5, 2, 8), c: bf16(5, 8), s: bf16(5, 8), len: i32(2) },
        ['a', 'b'],
      ),
      /2 or 4 axes/,
    ],
    [
      'a rotation by half the head size',
      graph({ type: 'Rope', param: { rotaryCoeff: 16 } }, rotary(32), ['a', 'b']),
      /rotaryCoeff must be one of 2, 4, 32, found 16/,
    ],
    [
      'a rotation of quarters that are no whole numbers',
      graph({ type: 'Rope', param: { rotaryCoeff: 4 } }, rotary(18), ['a', 'b']),
      /the width of cos, 18, must be a multiple of 4/,
    ],
    [
      'a rotation of heads below 16',
      graph({ type: 'Rope', param: { rotaryCoeff: 2 } }, rotary(8), ['a', 'b']),
      /width of cos must be from 16 to 4096, found 8/,
    ],
    [
      'a rotation of heads above 4096',
      graph({ type: 'Rope', param: { rotaryCoeff: 2 } }, rotary(4098), ['a', 'b']),
      /width of cos must be from 16 to 4096, found 4098/,
    ],
    [
      'a rotation of queries that are no groups of keys',
      graph(
        { type: 'Rope', param: { rotaryCoeff: 2 } },
        { q: bf16(5, 48), k: bf16(5, 32), c: bf16(5, 16), s: bf16(5, 16), len: i32(2) },
        ['a', 'b'],
      ),
      /the size of q, 48, must be a multiple of k's, 32/,
    ],
    [
      'a cosFormat that is neither 0 nor 1',
      graph({ type: 'Rope', param: { rotaryCoeff: 2, cosFormat: 2 } }, rotary(32), ['a', 'b']),
      /cosFormat must be 0 or 1, found 2/,
    ],
    [
      'a gate along another axis than the last',
      graph(
        { type: 'Activation', param: { activationType: 'ACTIVATION_SWIGLU_FORWARD', dim: 1 } },
        { x: bf16(5, 8) },
      ),
      /dim must be -1, found 1/,
    ],
    [
      'an activation of undefined type',
      graph({ type: 'Activation', param: { activationType: 'ACTIVATION_UNDEFINED' } }, { x: bf16(5, 8) }),
      /activationType must be defined/,
    ],
    [
      'an elementwise operation of undefined type',
      graph({ type: 'Elewise', param: { elewiseType: 'ELEWISE_UNDEFINED' } }, { x: bf16(5), z: bf16(5) }),
      /elewiseType must be defined/,
    ],
    [
      'a sum of one tensor',
      graph({ type: 'Elewise', param: { elewiseType: 'ELEWISE_ADD' } }, { x: bf16(5) }),
      /reads 2 tensors, found 1/,
    ],
    [
      'a cosine of two tensors',
      graph({ type: 'Elewise', param: { elewiseType: 'ELEWISE_COS' } }, { x: bf16(5), z: bf16(5) }),
      /reads 1 tensors, found 2/,
    ],
    [
      'quantising element by element',
      graph(
        { type: 'Elewise', param: { elewiseType: 'ELEWISE_DEQUANT_PER_CHANNEL' } },
        { x: bf16(5), z: bf16(5) },
      ),
      /ELEWISE_DEQUANT_PER_CHANNEL reads scales and offsets/,
    ],
    [
      'a norm into another integer type than int8',
      graph(
        {
          type: 'RmsNorm',
          param: { layerType: 'RMS_NORM_NORM', normParam: { epsilon: 1e-5, quantType: 'QUANT_INT4' } },
        },
        { x: bf16(5, 8), w: bf16(8) },
      ),
      /quantType must be QUANT_UNDEFINED or QUANT_INT8, found QUANT_INT4/,
    ],
    [
      'a norm that gives its deviations, too',
      graph(
        { type: 'RmsNorm', param: { layerType: 'RMS_NORM_NORM', normParam: { epsilon: 1e-5, rstd: true } } },
        { x: bf16(5, 8), w: bf16(8) },
      ),
      /rstd gives a second output/,
    ],
    [
      'a norm that quantises each row',
      graph(
        {
          type: 'RmsNorm',
          param: {
            layerType: 'RMS_NORM_NORM',
            normParam: { epsilon: 1e-5, dynamicQuantType: 'DYNAMIC_QUANT_SYMMETRIC' },
          },
        },
        { x: bf16(5, 8), w: bf16(8) },
      ),
      /DYNAMIC_QUANT_SYMMETRIC gives more outputs/,
    ],
    [
      'a LayerNorm of a sum into int8',
      graph(
        {
          type: 'LayerNorm',
          param: {
            layerType: 'LAYER_NORM_PRENORM',
            preNormParam: { epsilon: 1e-5, quantType: 'QUANT_INT8' },
          },
        },
        { x: bf16(5, 8), r: bf16(5, 8), w: bf16(8), b: bf16(8) },
        ['y', 'sum'],
      ),
      /quantType must be QUANT_UNDEFINED, found QUANT_INT8/,
    ],
    [
      'a LayerNorm over two axes whose weight has one',
      graph(
        {
          type: 'LayerNorm',
          param: { layerType: 'LAYER_NORM_NORM', normParam: { epsilon: 1e-5, beginNormAxis: 1 } },
        },
        { x: bf16(5, 2, 4), w: bf16(8), b: bf16(8) },
      ),
      /beginNormAxis must leave gamma's 1 axes of x's 3, found 1/,
    ],
    [
      'a norm that needs its block',
      graph(
        { type: 'RmsNorm', param: { layerType: 'RMS_NORM_NORM', preNormParam: { epsilon: 1 } } },
        { x: bf16(5, 8), w: bf16(8) },
      ),
      /normParam must be an object, found nothing/,
    ],
    [
      'a norm of undefined type',
      graph(
        { type: 'LayerNorm', param: { layerType: 'LAYER_NORM_UNDEFINED' } },
        { x: bf16(5, 8), w: bf16(8), b: bf16(8) },
      ),
      /layerType must be one of LAYER_NORM_NORM/,
    ],
    [
      'a triangle without a mask',
      graph(
        { type: 'SelfAttention', param: { calcType: 'PA_ENCODER', ...HEADS, isTriuMask: 1 } },
        { ...attention, len: i32(2) },
      ),
      /isTriuMask 1 needs a mask/,
    ],
    [
      'heads that do not divide',
      graph(
        { type: 'PagedAttention', param: { ...HEADS, kvHeadNum: 3 } },
        { ...paged, k: bf16(3, 16, 3, 8), v: bf16(3, 16, 3, 8) },
      ),
      /headNum 4 must be a multiple of kvHeadNum 3/,
    ],
    [
      'several tokens without a mask',
      graph(
        { type: 'PagedAttention', param: { ...HEADS, calcType: 'CALC_TYPE_SPEC' } },
        { ...paged, ql: i32(2) },
      ),
      /CALC_TYPE_SPEC needs maskType NORM or SPEC/,
    ],
    [
      'heads too large for several tokens',
      graph(
        {
          type: 'PagedAttention',
          param: {
            headNum: 1,
            kvHeadNum: 1,
            qkScale: 1,
            calcType: 'CALC_TYPE_SPEC',
            maskType: 'MASK_TYPE_NORM',
          },
        },
        {
          q: bf16(2, 1, 256),
          k: bf16(3, 128, 1, 256),
          v: bf16(3, 128, 1, 256),
          t: i32(2, 4),
          len: i32(2),
          m: bf16(8, 8),
          ql: i32(2),
        },
      ),
      /head size 256 with blocks of 128 is too large; blocks of 64 are not/,
    ],
    [
      'blocks of another size than multiples of 16',
      graph({ type: 'PagedAttention', param: one }, cached(1, 64, 24)),
      /the block size must be a multiple of 16, found 24/,
    ],
    [
      'blocks that a core cannot hold in decode',
      graph({ type: 'PagedAttention', param: one }, cached(1, 128, 256)),
      /head size 128 with blocks of 256 is too large; blocks of 128 are not/,
    ],
    [
      'blocks above 128 for several tokens',
      graph({ type: 'PagedAttention', param: { ...one, ...SPEC } }, several(1, 32, 144)),
      /CALC_TYPE_SPEC takes blocks of at most 128, found 144/,
    ],
    [
      'more than 256 heads for several tokens',
      graph({ type: 'PagedAttention', param: { ...one, headNum: 257, ...SPEC } }, several(257, 32, 64)),
      /at most 256 heads, found 257/,
    ],
    [
      'heads that are too large together for several tokens',
      graph({ type: 'PagedAttention', param: { ...one, headNum: 129, ...SPEC } }, several(129, 128, 64)),
      /heads of 16384 numbers together, found 129 of 128/,
    ],
    [
      'the mask of several tokens for one of each sequence',
      graph(
        { type: 'PagedAttention', param: { ...one, maskType: 'MASK_TYPE_SPEC' } },
        {
          ...cached(1, 64, 64),
          m: bf16(1, 8),
        },
      ),
      /MASK_TYPE_SPEC needs CALC_TYPE_SPEC/,
    ],
    [
      'a square mask for several tokens of latent attention',
      graph(
        { type: 'PagedAttention', param: { ...one, ...SPEC, mlaVHeadSize: 32 } },
        latent(several(1, 64, 64)),
      ),
      /CALC_TYPE_SPEC with mlaVHeadSize needs maskType SPEC/,
    ],
    [
      'slopes for latent attention',
      graph(
        { type: 'PagedAttention', param: { ...one, maskType: 'MASK_TYPE_ALIBI', mlaVHeadSize: 32 } },
        latent({ ...cached(1, 64, 64), m: bf16(1, 1, 1, 64) }),
      ),
      /mlaVHeadSize takes no mask of ALiBi/,
    ],
    [
      'groups that experts are not',
      graph({ type: 'GroupTopk', param: { ...TOPK, k: 3, n: 5 } }, scores),
      /k must be from 1 to groupNum 2, found 3[\s\S]*n must be from 1 to 4, a group's experts, found 5/,
    ],
    [
      'more experts than groups are made of',
      graph({ type: 'GroupTopk', param: TOPK }, { ...scores, x: bf16(3, 2048) }),
      /at most 1024 experts, found 2048/,
    ],
    [
      'two sizes of what is sorted',
      graph({ type: 'Sort', param: { num: [1, 1] } }, { x: bf16(3, 8) }, ['a', 'b']),
      /num must hold one number, found \[1,1\]/,
    ],
    [
      'a bias of products by heads',
      graph(
        { type: 'Linear', param: { ...LINEAR, hasBias: true, matmulType: 'MATMUL_EIN_SUM' } },
        { x: bf16(3, 2, 8), w: bf16(2, 6, 8), b: bf16(6) },
      ),
      /MATMUL_EIN_SUM takes neither hasBias/,
    ],
    [
      'a bf16 mask that serves both attentions',
      {
        name: 'g',
        inputs: { ...several(1, 64, 64), ks: bf16(1, 1, 64) },
        outputs: ['a', 'b'],
        nodes: [
          {
            type: 'SelfAttention',
            param: { calcType: 'PA_ENCODER', ...one, maskType: 'MASK_TYPE_NORM' },
            in: ['q', 'ks', 'ks', 'm', 'len'],
            out: ['a'],
          },
          {
            type: 'PagedAttention',
            param: { ...one, ...SPEC },
            in: ['q', 'k', 'v', 't', 'len', 'm', 'ql'],
            out: ['b'],
          },
        ],
      },
      /node 1 .*reads the mask "m", which in bf16 means something else to SelfAttention/,
    ],
    [
      'a bias that is not there',
      graph({ type: 'W8A16MatMul', param: { ...WEIGHT_QUANT, hasBias: true } }, integers),
      /reads 5 tensors, found 4/,
    ],
    [
      'a bias that nobody announced',
      graph({ type: 'W4A16MatMul', param: WEIGHT_QUANT }, { ...integers, w: i8(6, 32), b: f32(6) }),
      /reads 4 tensors, found 5/,
    ],
    [
      'scales of tokens that nobody announced',
      graph({ type: 'W8A8MatMul', param: { transposeB: true } }, perToken),
      /reads 3 tensors, found 4/,
    ],
    [
      'a bf16 bias of integers',
      graph({ type: 'W8A16MatMul', param: { ...WEIGHT_QUANT, hasBias: true } }, { ...integers, b: bf16(6) }),
      /input 4 must be f32, found bf16/,
    ],
    [
      '4-bit integers that are not transposed',
      graph(
        { type: 'W4A16MatMul', param: { ...WEIGHT_QUANT, transposeB: false } },
        { x: bf16(5, 64), w: i8(64, 3), s: bf16(1, 6), o: bf16(1, 6) },
      ),
      /W4A16MatMul needs transposeB true/,
    ],
    [
      'scales in another order of axes than the weight has',
      graph(
        { type: 'W8A16MatMul', param: { ...WEIGHT_QUANT, transposeB: false } },
        { ...integers, w: i8(64, 6) },
      ),
      /scale and offset must be \[1,6\]/,
    ],
    [
      'scales of two axes beside int8 activations',
      graph({ type: 'W8A8MatMul', param: W8A8 }, { ...perToken, s: f32(6, 1) }),
      /the scale must be \[6\], found \[6,1\]/,
    ],
    [
      'scales of another dtype than the input has',
      graph({ type: 'W8A16MatMul', param: WEIGHT_QUANT }, { ...integers, s: f32(6, 1) }),
      /input 2 must be bf16, found f32/,
    ],
    [
      'fewer scales than groups',
      graph({ type: 'W8A16MatMul', param: { ...WEIGHT_QUANT, quantGroupSize: 32 } }, integers),
      /scale and offset must be \[6,2\]/,
    ],
    [
      'groups of another size than multiples of 32 below the depth',
      graph({ type: 'W8A16MatMul', param: { ...WEIGHT_QUANT, quantGroupSize: 64 } }, integers),
      /quantGroupSize must be 0 or a multiple of 32 below 64, found 64/,
    ],
    [
      'floats where integers are multiplied',
      graph(
        { type: 'W8A8MatMul', param: { transposeB: true, hasPerTokenScale: true } },
        { ...perToken, x: bf16(5, 64) },
      ),
      /input 0 must be i8, found bf16/,
    ],
    [
      'a token without a scale',
      graph(
        { type: 'W8A8MatMul', param: { transposeB: true, hasPerTokenScale: true } },
        { ...perToken, t: f32(4) },
      ),
      /one scale per token/,
    ],
    [
      'quantising f32',
      graph({ type: 'DynamicQuant', param: {} }, { x: f32(5, 64) }, ['a', 'b']),
      /the input must be f16 or bf16, found f32/,
    ],
    [
      'a zero epsilon',
      graph(
        { type: 'RmsNorm', param: { layerType: 'RMS_NORM_NORM', normParam: { epsilon: 0 } } },
        { x: bf16(5, 8), w: bf16(8) },
      ),
      /epsilon must be positive/,
    ],
    [
      'shapes that do not fit',
      graph({ type: 'Linear', param: LINEAR }, { x: bf16(5, 8), w: bf16(6, 7) }),
      /inner size must be 8, found 7/,
    ],
    [
      'a view of another size',
      graph({ type: 'Linear', param: LINEAR, reshape: { 0: [5, 7] } }, xw),
      /sees "x" \[5,8\] as \[5,7\]/,
    ],
    [
      'an undefined tensor',
      graph({ type: 'Linear', param: LINEAR, in: ['x', 'weight'] }, xw),
      /reads "weight", which nothing before it writes/,
    ],
    [
      'a name with a hyphen',
      { ...graph({ type: 'Linear', param: LINEAR }, xw), name: 'my-graph' },
      /graph "my-graph": the name must match/,
    ],
    [
      'an empty axis',
      graph({ type: 'Linear', param: LINEAR }, { x: bf16(0, 8), w: bf16(6, 8) }),
      /sizes are positive/,
    ],
    [
      'an output that nobody writes',
      { ...graph({ type: 'Linear', param: LINEAR }, xw), outputs: ['z'] },
      /output "z": is never written/,
    ],
  ];
  for (const [what, wrong, message] of illegal) {
    it(`refuses ${what}`, () => {
      expect(legalityProblems(wrong).map(problemText).join('\n')).to.match(message);
      expect(() => assertLegal(wrong)).to.throw(/GRAPH_ILLEGAL/);
    });
  }

  it('accepts what those tests start from', () => {
    assertLegal(graph({ type: 'Linear', param: LINEAR }, xw));
    assertLegal(graph({ type: 'W8A16MatMul', param: WEIGHT_QUANT }, integers));
    assertLegal(graph({ type: 'PagedAttention', param: HEADS }, paged));
    assertLegal(graph({ type: 'PagedAttention', param: one }, cached(1, 64, 64)));
    assertLegal(graph({ type: 'PagedAttention', param: { ...one, ...SPEC } }, several(1, 64, 64)));
    const several576 = { ...one, ...SPEC, maskType: 'MASK_TYPE_SPEC', mlaVHeadSize: 512 };
    assertLegal(graph({ type: 'PagedAttention', param: several576 }, latent(several(1, 576, 128))));
    assertLegal(graph({ type: 'GroupTopk', param: TOPK }, scores));
    assertLegal(graph({ type: 'W8A8MatMul', param: W8A8 }, perToken));
    const biased = { ...WEIGHT_QUANT, hasBias: true };
    assertLegal(graph({ type: 'W8A16MatMul', param: biased }, { ...integers, b: f32(6) }));
  });

  it('admits the rotations that ATB has: of halves, of halves of halves, of pairs', () => {
    for (const rotaryCoeff of [2, 4, 32]) {
      assertLegal(graph({ type: 'Rope', param: { rotaryCoeff } }, rotary(32), ['a', 'b']));
    }
  });

  it('knows what comes out of extension ops, so that what follows is judged by it', () => {
    const first = { type: 'SparseAttention', param: { headNum: 2, qkScale: 1, mlaVHeadSize: 16 } };
    const inputs = {
      ...{ q: bf16(5, 2, 32), k: bf16(4, 64, 1, 32) },
      ...{ tables: i32(1, 2), contexts: i32(1), queries: i32(1), chosen: i32(5, 9) },
    };
    const whole = graph(first, inputs);
    const rules = (type: string, param: object, more: readonly string[] = []) => {
      const behind = { type, param, in: [...whole.outputs, ...more], out: ['z'] } as unknown as FlatNode;
      const both = { ...whole, nodes: [...whole.nodes, behind], outputs: ['z'] };
      return legalityProblems(both).map(({ rule }) => rule);
    };
    expect(rules('Softmax', { axes: [2] })).to.deep.equal(['extension-op']);
    expect(rules('Linear', LINEAR, ['k'])).to.include('shape');
    const malformed = graph({ ...first, param: { headNum: 'two' } }, inputs);
    expect(legalityProblems(malformed).map(({ rule }) => rule)).to.include('value');
  });

  it('tags each problem with its rule and its place', () => {
    const rulesOf = (flatGraph: FlatGraph) => legalityProblems(flatGraph).map(({ rule }) => rule);
    expect(rulesOf(graph({ type: 'FusedLinear', param: {} }, xw))).to.deep.equal(['extension-op']);
    expect(rulesOf(graph({ type: 'Linearr', param: {} }, xw))).to.deep.equal(['op']);
    expect(rulesOf(graph({ type: 'Linear', param: { ...LINEAR, transB: true } }, xw))).to.deep.equal(['key']);
    expect(rulesOf(graph({ type: 'Linear', param: { ...LINEAR, hasBias: 1 } }, xw))).to.deep.equal(['value']);
    expect(rulesOf(graph({ type: 'Linear', param: { ...LINEAR, hasBias: true } }, xw))).to.deep.equal([
      'count',
    ]);
    expect(rulesOf(graph({ type: 'Linear', param: LINEAR, reshape: { 0: [5, 7] } }, xw))).to.include('view');
    expect(rulesOf(graph({ type: 'Linear', param: LINEAR, in: ['x', 'u'] }, xw))).to.deep.equal(['tensor']);
    expect(rulesOf({ ...graph({ type: 'Linear', param: LINEAR }, xw), name: '-' })).to.deep.equal(['graph']);
    const [problem] = legalityProblems(
      graph({ type: 'Linear', param: LINEAR }, { x: bf16(5, 8), w: bf16(6, 7) }),
    );
    expect(problem).to.deep.equal({
      rule: 'shape',
      where: 'node 0 (Linear -> y)',
      text: "the weight's inner size must be 8, found 7",
    });
  });
});
