import { expect } from 'chai';
import fc from 'fast-check';
import { AtbGraph, BaseOperation, type GraphSpec } from '../../src/graph/atb-graph.js';
import { DECODER_KINDS } from '../../src/graph/graph-kind.js';
import { distinctGraphs, type NodeHint, type NodeSpec } from '../../src/graph/graph-spec.js';
import { applyPasses, PASSES } from '../../src/graph/passes/index.js';
import { validateGraph } from '../../src/graph/validate.js';
import { FOUR_BIT_MODES, QUANTIZE_MODES, type QuantizeMode } from '../../src/weights/quantization.js';
import { FAMILIES, type Family, familyModel, flat } from '../models/family-models.js';

const NAMES = PASSES.map((pass) => pass.name);
const typeOf = ({ op }: NodeSpec): string => ('type' in op ? op.type : 'graph');
const paramOf = (node: NodeSpec | undefined): object => (node && 'type' in node.op ? node.op.param : {});
const quantized = (family: Family, quantize: QuantizeMode) =>
  familyModel(family, 'bf16', { quantize, ...(FOUR_BIT_MODES.includes(quantize) && { quantGroupSize: 32 }) });
const SYMMETRIC: NodeHint = { symmetric: true };
const PRODUCT = { transposeB: true, hasBias: false, quantGroupSize: 0 } as const;
const W8A8 = { transposeB: true, hasPerTokenScale: true } as const;

function layerOf(spec: GraphSpec): GraphSpec {
  const placed = spec.nodes.find(({ op }) => 'graph' in op);
  if (!placed || !('graph' in placed.op)) throw new Error('no layer');
  return placed.op.graph;
}

describe('passes on quantised models', () => {
  for (const mode of QUANTIZE_MODES) {
    for (const family of FAMILIES) {
      it(`make a layer of ${family} in ${mode} six operations, and a head of one`, async () => {
        for (const kind of DECODER_KINDS) {
          const spec = applyPasses((await quantized(family, mode)).buildGraph(kind), 'all');
          const layer = layerOf(spec);
          const products = ['FusedLinear', 'QkvRopeCache', 'PagedAttention', ...Array(3).fill('FusedLinear')];
          expect(layer.nodes.map(typeOf)).to.deep.equal(products);
          const bits = FOUR_BIT_MODES.includes(mode) ? 4 : 8;
          const int8 = mode === 'w8a8_dynamic' || mode === 'w4a8_dynamic';
          for (const node of layer.nodes.filter((each) => typeOf(each) === 'FusedLinear'))
            expect(paramOf(node)).to.include({ weightBits: bits, ...(int8 && { int8Activations: true }) });
          expect('int8Activations' in paramOf(layer.nodes[0])).to.equal(int8);
          const head = spec.nodes.at(-1);
          expect([head && typeOf(head), paramOf(head)]).to.deep.include('FusedLinear');
          expect(paramOf(head)).to.include({ weightBits: 8, outDataType: 'ACL_FLOAT' });
          expect(spec.inputs.filter((name) => name.endsWith('weight_offset'))).to.deep.equal([]);
        }
      });
    }

    it(`give valid graphs of the same outputs in any subset, ${mode}`, async () => {
      const model = await quantized('qwen3', mode);
      const specs = DECODER_KINDS.map((kind) => ({ kind, spec: model.buildGraph(kind) }));
      fc.assert(
        fc.property(fc.subarray(NAMES), fc.constantFrom(...specs), (passes, { kind, spec }) => {
          const result = applyPasses(spec, passes);
          for (const graph of distinctGraphs(result)) validateGraph(graph);
          expect(flat(model, result, kind).outputs).to.deep.equal(['model_out']);
          expect(applyPasses(result, passes), 'a second time changes nothing').to.deep.equal(result);
        }),
        { numRuns: 80 },
      );
    });
  }

  /** norm -> product of integers -> sum with the residual. */
  function layer(type: 'W8A16MatMul' | 'W4A16MatMul', hint: { hint?: NodeHint }): GraphSpec {
    const graph = new AtbGraph('g');
    graph.addInputOutput({ input: ['x', 'gamma', 'w', 's', 'o'], output: ['y'] });
    const norm = { layerType: 'RMS_NORM_NORM', normParam: { epsilon: 1e-5 } } as const;
    graph.addOperation(new BaseOperation('RmsNorm', norm, 'norm'), ['x', 'gamma'], ['n']);
    graph.addOperation(new BaseOperation(type, PRODUCT, 'product'), ['n', 'w', 's', 'o'], ['p'], hint);
    graph.addOperation(
      new BaseOperation('Elewise', { elewiseType: 'ELEWISE_ADD' }, 'sum'),
      ['x', 'p'],
      ['y'],
    );
    return graph.build();
  }

  it('fuse a product whose offsets are known to be zero, and drop them', () => {
    for (const [type, weightBits] of [
      ['W8A16MatMul', 8],
      ['W4A16MatMul', 4],
    ] as const) {
      const { nodes, inputs } = applyPasses(layer(type, { hint: SYMMETRIC }), 'all');
      expect(nodes.map(typeOf)).to.deep.equal(['FusedLinear']);
      expect(nodes[0]?.inputs).to.deep.equal(['x', 'gamma', 'w', 's', 'x']);
      expect(paramOf(nodes[0])).to.deep.include({ weightBits, normEpsilon: 1e-5, hasResidual: true });
      expect(inputs).to.deep.equal(['x', 'gamma', 'w', 's']);
    }
  });

  it('make int8 of the rows of a product that a hint says it of, whatever surrounds it', () => {
    const hint = { hint: { ...SYMMETRIC, int8Activations: true } } as const;
    const alone = applyPasses(layer('W4A16MatMul', hint), ['dynamic-quant']);
    expect(alone.nodes.map(typeOf)).to.deep.equal(['RmsNorm', 'W4A16MatMul', 'Elewise']);
    expect(paramOf(alone.nodes[1])).to.deep.equal({ ...PRODUCT, int8Activations: true });
    expect(alone.nodes[1]?.hint).to.deep.equal(SYMMETRIC);
    const [fused] = applyPasses(layer('W4A16MatMul', hint), 'all').nodes;
    expect(paramOf(fused)).to.deep.include({ weightBits: 4, hasResidual: true, int8Activations: true });
  });

  it('leave a product whose offsets may not be zero', () => {
    const spec = layer('W8A16MatMul', {});
    expect(
      applyPasses(
        spec,
        NAMES.filter((name) => name !== 'logits-f32'),
      ),
    ).to.deep.equal(spec);
  });

  /** DynamicQuant -> W8A8MatMul, and perhaps another reader of the int8 rows. */
  function dynamic(isReadTwice: boolean, hint: { hint?: NodeHint }): GraphSpec {
    const graph = new AtbGraph('g');
    const weights = isReadTwice ? ['w', 's', 'v'] : ['w', 's'];
    graph.addInputOutput({ input: ['x', ...weights], output: isReadTwice ? ['y', 'z'] : ['y'] });
    graph.addOperation(new BaseOperation('DynamicQuant', {}, 'quant'), ['x'], ['q', 't']);
    graph.addOperation(new BaseOperation('W8A8MatMul', W8A8, 'product'), ['q', 'w', 's', 't'], ['y'], hint);
    if (isReadTwice)
      graph.addOperation(new BaseOperation('W8A8MatMul', W8A8, 'other'), ['q', 'v', 's', 't'], ['z'], hint);
    return graph.build();
  }

  it('quantise rows where they are multiplied, when nobody else reads them', () => {
    const { nodes } = applyPasses(dynamic(false, { hint: SYMMETRIC }), ['dynamic-quant']);
    expect(nodes.map(typeOf)).to.deep.equal(['FusedLinear']);
    expect(nodes[0]?.inputs).to.deep.equal(['x', 'w', 's']);
    expect(paramOf(nodes[0])).to.deep.include({ weightBits: 8, int8Activations: true });
    for (const spec of [dynamic(true, { hint: SYMMETRIC }), dynamic(false, {})])
      expect(applyPasses(spec, ['dynamic-quant'])).to.deep.equal(spec);
  });
});
