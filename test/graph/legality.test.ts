import { expect } from 'chai';
import type { FlatGraph, FlatNode } from '../../src/graph/flatten.js';
import { DECODE, SPLITFUSE } from '../../src/graph/graph-kind.js';
import { assertLegal, legalityProblems, problemText, subGraphProblems } from '../../src/graph/legality.js';
import { applyPasses } from '../../src/graph/passes/index.js';
import { QUANTIZE_MODES } from '../../src/weights/quantization.js';
import { familyKinds, familyModel, flat } from '../models/family-models.js';

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
const attention = { q: bf16(5, 4, 8), k: bf16(5, 2, 8), v: bf16(5, 2, 8) };
const rotary = (size: number) => ({
  q: bf16(5, 4 * size),
  k: bf16(5, 2 * size),
  c: bf16(5, size),
  s: bf16(5, size),
  len: i32(2),
});
const HEADS = { headNum: 4, kvHeadNum: 2, qkScale: 0.5 };
const paged = { q: bf16(2, 4, 8), k: bf16(3, 16, 2, 8), v: bf16(3, 16, 2, 8), t: i32(2, 4), len: i32(2) };

const QUANTISATIONS = [
  { what: 'of floats', options: {} },
  ...QUANTIZE_MODES.map((quantize) => ({
    what: quantize,
    options: { quantize, ...(quantize === 'w4a16' && { quantGroupSize: 32 }) },
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
          expect(subGraphProblems(spec)).to.deep.equal([]);
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
      graph({ type: 'Rope', param: { rotaryCoeff: 6 } }, rotary(12), ['a', 'b']),
      /rotaryCoeff must be one of 2, 4, 12, found 6/,
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
      /head size 256 with blocks of 128 is too large/,
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
        { x: bf16(5, 64), w: i8(6, 64), s: f32(6, 1), t: f32(5) },
      ),
      /input 0 must be i8, found bf16/,
    ],
    [
      'a token without a scale',
      graph(
        { type: 'W8A8MatMul', param: { transposeB: true, hasPerTokenScale: true } },
        { x: i8(5, 64), w: i8(6, 64), s: f32(6, 1), t: f32(4) },
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
  });

  it('admits the rotations that ATB has: of halves, of halves of halves, of pairs', () => {
    for (const rotaryCoeff of [2, 4, 12]) {
      assertLegal(graph({ type: 'Rope', param: { rotaryCoeff } }, rotary(12), ['a', 'b']));
    }
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
