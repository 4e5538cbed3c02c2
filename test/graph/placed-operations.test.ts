import { expect } from 'chai';
import { AtbGraph, BaseOperation, dim, type GraphSpec } from '../../src/graph/atb-graph.js';
import { DECODE, PREFILL } from '../../src/graph/graph-kind.js';
import { applyPass, applyPasses } from '../../src/graph/passes/index.js';
import { standInPass } from '../../src/graph/passes/stand-ins.js';
import { matrixLayouts, placedOperations, productsOf } from '../../src/graph/placed-operations.js';
import { familyModel } from '../models/family-models.js';

const linear = (name: string) => new BaseOperation('Linear', { transposeB: true, hasBias: false }, name);
const gather = (name: string) => new BaseOperation('Gather', { axis: 0 }, name);

/** Two layers of one product each, and a head on gathered rows whose table is the embedding's. */
function tied(): GraphSpec {
  const layer = new AtbGraph('layer');
  layer.addInputOutput({ input: ['w', 'x'], output: ['y'] });
  layer.addReshape('x', 'rows', [dim(0), dim(1)]);
  layer.addOperation(linear('up'), ['rows', 'w'], ['y']);
  const graph = new AtbGraph('model');
  graph.addInputOutput({ input: ['embed', 'w0', 'w1', 'ids', 'last', 'head'], output: ['logits'] });
  graph.addOperation(gather('words'), ['embed', 'ids'], ['h0']);
  graph.addOperation(layer.build(), ['w0', 'h0'], ['h1'], { name: 'layer_0' });
  graph.addOperation(layer.build(), ['w1', 'h1'], ['h2'], { name: 'layer_1' });
  graph.addOperation(gather('pick'), ['h2', 'last'], ['rows']);
  graph.addOperation(linear('head'), ['rows', 'head'], ['logits']);
  return graph.build();
}

describe('the operations of a graph, where they are placed', () => {
  it('have paths, and the names that the whole graph gives to their weights', () => {
    expect(productsOf(tied()).map(({ path, matrix }) => `${path}: ${matrix}`)).to.deep.equal([
      'layer_0/up: w0',
      'layer_1/up: w1',
      'head: head',
    ]);
    expect(placedOperations(tied()).map(({ path }) => path)).to.deep.equal([
      'words',
      'layer_0/up',
      'layer_1/up',
      'pick',
      'head',
    ]);
  });

  it('compute a row for each token, or for each row that was gathered from tokens', () => {
    expect(productsOf(tied()).map(({ rows }) => rows)).to.deep.equal(['tokens', 'tokens', 'gathered']);
  });

  it('keep knowing what was gathered inside a sub-graph, and on the way into one', () => {
    const pick = new AtbGraph('pick');
    pick.addInputOutput({ input: ['x', 'last'], output: ['y'] });
    pick.addOperation(gather('pick'), ['x', 'last'], ['y']);
    const head = new AtbGraph('head');
    head.addInputOutput({ input: ['x', 'w'], output: ['y'] });
    head.addOperation(linear('head'), ['x', 'w'], ['y']);
    const graph = new AtbGraph('g');
    graph.addInputOutput({ input: ['x', 'w', 'last'], output: ['y'] });
    graph.addOperation(linear('first'), ['x', 'w'], ['h']);
    graph.addOperation(pick.build(), ['h', 'last'], ['rows'], { name: 'picking' });
    graph.addOperation(head.build(), ['rows', 'w'], ['y'], { name: 'heading' });
    expect(productsOf(graph.build()).map(({ path, rows }) => `${path} ${rows}`)).to.deep.equal([
      'first tokens',
      'heading/head gathered',
    ]);
  });

  it('count the same rows before and after passes: only the head of prefill reads gathered ones', async () => {
    for (const passes of ['all', 'none'] as const) {
      const model = await familyModel('qwen3');
      const rows = (spec: GraphSpec) => productsOf(applyPasses(spec, passes)).map(({ rows }) => rows);
      const prefill = rows(model.buildGraph(PREFILL));
      expect(prefill.at(-1)).to.equal('gathered');
      expect(new Set(prefill.slice(0, -1))).to.deep.equal(new Set(['tokens']));
      expect(new Set(rows(model.buildGraph(DECODE)))).to.deep.equal(new Set(['tokens']));
    }
  });

  it('say how matrices should lie: interleaved where a fused SwiGLU reads them', async () => {
    const model = await familyModel('llama');
    const layouts = matrixLayouts([applyPasses(model.buildGraph(DECODE), 'all')]);
    expect(layouts.get('model.layers.0.mlp.gate_up_proj.weight')).to.equal('linear-interleaved');
    expect(layouts.get('model.layers.0.mlp.down_proj.weight')).to.equal('linear');
    expect(layouts.has('model.norm.weight')).to.equal(false);
    const plain = matrixLayouts([
      applyPasses(model.buildGraph(DECODE), 'all'),
      applyPasses(model.buildGraph(DECODE), 'none'),
    ]);
    expect(plain.get('model.layers.0.mlp.gate_up_proj.weight')).to.equal('linear-interleaved');
  });
});

describe('the pass of stand-ins', () => {
  const standIns = new Map([
    ['embed', { name: 'head', scaleName: 'head_scale' }],
    ['w1', { name: 'zeros' }],
  ]);
  const withScale = (spec: GraphSpec): GraphSpec => ({ ...spec, inputs: [...spec.inputs, 'head_scale'] });

  it('gathers rows of integers as floats, and reads other tensors in place of their names', () => {
    const spec = applyPass(withScale(tied()), standInPass(standIns, 'bf16'));
    expect(spec.inputs).to.deep.equal(['head', 'w0', 'zeros', 'ids', 'last', 'head_scale']);
    expect(spec.nodes[0]).to.deep.equal({
      name: 'words',
      op: { type: 'GatherDequant', param: { weightBits: 8, outDataType: 'ACL_BF16' } },
      inputs: ['head', 'ids', 'head_scale'],
      outputs: ['h0'],
    });
    expect(spec.nodes[2]?.inputs).to.deep.equal(['zeros', 'h1']);
  });

  it('leaves its input as it was, and a graph without such weights alone', () => {
    const before = tied();
    const text = JSON.stringify(before);
    applyPass(withScale(before), standInPass(standIns, 'f32'));
    expect(JSON.stringify(before)).to.equal(text);
    expect(applyPass(before, standInPass(new Map(), 'f32'))).to.equal(before);
  });
});
