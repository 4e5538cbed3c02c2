import { expect } from 'chai';
import { AtbError } from '../../src/errors.js';
import { BaseOperation } from '../../src/graph/atb-graph.js';
import { OP_KEYS } from '../../src/graph/atb-rules/op-keys.js';
import { legalityProblems } from '../../src/graph/legality.js';
import type { AtbOpType } from '../../src/graph/ops/index.js';

/** As JavaScript makes an operation: the compiler has checked nothing. */
const untyped = (type: unknown, param: unknown) => new BaseOperation(type as 'Gather', param as never, 'op');

function refusal(type: unknown, param: unknown): AtbError {
  try {
    untyped(type, param);
  } catch (error) {
    if (error instanceof AtbError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('params that the compiler did not check', () => {
  const wrong: [string, string, unknown, { key: string; expected: RegExp; found: RegExp }][] = [
    [
      'a misspelt key',
      'Gather',
      { axs: 0 },
      { key: 'axs', expected: /^one of axis, batchDims$/, found: /^"axs"; nearest: axis$/ },
    ],
    [
      'a key of an operation without keys',
      'Sigmoid',
      { axis: 0 },
      { key: 'axis', expected: /^absent$/, found: /^"axis"$/ },
    ],
    [
      'a misspelt key in a block',
      'RmsNorm',
      { layerType: 'RMS_NORM_NORM', normParam: { eps: 1e-6 } },
      { key: 'normParam.eps', expected: /normParam\.epsilon/, found: /"normParam.eps"/ },
    ],
    [
      'undefined in a block',
      'Elewise',
      { elewiseType: 'ELEWISE_MULS', mulsParam: { varAttr: undefined } },
      { key: 'mulsParam.varAttr', expected: /^a number$/, found: /^undefined$/ },
    ],
    ['undefined', 'Gather', { axis: undefined }, { key: 'axis', expected: /an integer/, found: /undefined/ }],
    ['NaN', 'Gather', { axis: Number.NaN }, { key: 'axis', expected: /an integer/, found: /NaN/ }],
    [
      'a string for a flag',
      'Linear',
      { transposeB: true, hasBias: 'no' },
      { key: 'hasBias', expected: /^true or false$/, found: /^"no"$/ },
    ],
    [
      'a number for a list',
      'Transpose',
      { perm: 1 },
      { key: 'perm', expected: /a list of integers/, found: /1/ },
    ],
    // ATB's parser would cut them off, and take them for other numbers.
    ['a fraction', 'Gather', { axis: 0.5 }, { key: 'axis', expected: /^an integer$/, found: /^0.5$/ }],
    [
      'a fraction in a list',
      'Slice',
      { offsets: [0, 1.5], size: [1, 1] },
      { key: 'offsets', expected: /^a list of integers$/, found: /1.5/ },
    ],
    [
      'a number for a string',
      'AllReduce',
      { processGroup: 0 },
      { key: 'processGroup', expected: /a string/, found: /0/ },
    ],
    [
      'an unknown enum string',
      'Elewise',
      { elewiseType: 'ELEWISE_PLUS' },
      { key: 'elewiseType', expected: /^one of .*ELEWISE_ADD/, found: /"ELEWISE_PLUS"/ },
    ],
    [
      'a number for a block',
      'Elewise',
      { elewiseType: 'ELEWISE_MULS', mulsParam: 2 },
      { key: 'mulsParam', expected: /an object/, found: /2/ },
    ],
    [
      'a missing block',
      'Elewise',
      { elewiseType: 'ELEWISE_MULS' },
      { key: 'mulsParam', expected: /an object/, found: /nothing/ },
    ],
    [
      'a missing dtype',
      'Elewise',
      { elewiseType: 'ELEWISE_CAST' },
      { key: 'outTensorType', expected: /a dtype/, found: /nothing/ },
    ],
    [
      'a norm of undefined type',
      'LayerNorm',
      { layerType: 'LAYER_NORM_UNDEFINED' },
      { key: 'layerType', expected: /LAYER_NORM_PRENORM/, found: /"LAYER_NORM_UNDEFINED"/ },
    ],
    [
      'a norm without its block',
      'RmsNorm',
      { layerType: 'RMS_NORM_PRENORM', normParam: { epsilon: 1e-6 } },
      { key: 'preNormParam', expected: /an object/, found: /nothing/ },
    ],
    [
      'a missing list',
      'Slice',
      { offsets: [0, 0] },
      { key: 'size', expected: /^a list of integers$/, found: /^nothing$/ },
    ],
    [
      'an extension value that means nothing',
      'FusedLinear',
      { weightBits: 2 },
      { key: 'weightBits', expected: /one of 8, 4/, found: /2/ },
    ],
    ['a list', 'Gather', [0], { key: 'param', expected: /an object/, found: /\[0\]/ }],
    ['no param', 'Gather', undefined, { key: 'param', expected: /an object/, found: /undefined/ }],
  ];
  for (const [what, type, param, { key, expected, found }] of wrong) {
    it(`are refused for ${what}, naming the operation, the key and what was expected`, () => {
      const { code, detail, message } = refusal(type, param);
      expect(code).to.equal('GRAPH_PARAM_INVALID');
      expect(detail).to.include({ op: 'op', type, key });
      expect((detail as { expected: string }).expected).to.match(expected);
      expect((detail as { found: string }).found).to.match(found);
      expect(message).to.match(new RegExp(`"op" \\(${type}\\): `));
    });
  }

  it('have problems, and are no error of JavaScript, whatever is missing', () => {
    for (const type of Object.keys(OP_KEYS) as AtbOpType[])
      for (let count = 0; count <= 6; count++) {
        const names = Array.from({ length: count }, (_, index) => `x${index}`);
        const inputs = Object.fromEntries(names.map((name) => [name, { dtype: 'bf16', shape: [4, 64] }]));
        const nodes = [{ type, param: {}, in: names, out: ['y'] }];
        expect(legalityProblems({ name: 'g', inputs, outputs: [], nodes }), type).to.be.an('array');
      }
  });

  it('may hold keys and strings that ATB has and we do not type, and extension keys', () => {
    untyped('SelfAttention', {
      calcType: 'PA_ENCODER',
      headNum: 1,
      maskType: 'MASK_TYPE_ALIBI',
      clampMin: 0,
    });
    untyped('PagedAttention', { headNum: 1, causal: true, windowSize: 4 });
    untyped('W8A16MatMul', { transposeB: true, outDataType: 'ACL_FLOAT' });
  });

  it('are refused for an operation that nobody has, with the nearest and the way to add one', () => {
    const { code, message } = refusal('Lineer', {});
    expect(code).to.equal('GRAPH_OP_UNKNOWN');
    expect(message).to.match(
      /no operation "Lineer"; nearest: Linear; .*registerOp \(docs\/adding-an-op.md\)/,
    );
    expect(refusal('toString', {}).code).to.equal('GRAPH_OP_UNKNOWN');
    expect(refusal(undefined, {}).code).to.equal('GRAPH_OP_UNKNOWN');
  });
});
