import { expect } from 'chai';
import { AtbGraph, BaseOperation, dim } from '../../src/graph/atb-graph.js';
import { flatten } from '../../src/graph/flatten.js';
import type { TensorDesc } from '../../src/graph/infer-shapes.js';
import { problemText } from '../../src/graph/legality-problem.js';
import { formatNestedExport, nestedExport } from '../../src/graph/nested-graph.js';
import { assertLegalSpec, specProblems } from '../../src/graph/nested-legality.js';
import { asOuterGraph } from '../../src/graph/outer-graph.js';

const relu = new BaseOperation('Activation', { activationType: 'ACTIVATION_RELU' }, 'relu');
const split = new BaseOperation('Split', { splitDim: 0, splitNum: 2 }, 'split');
const x = (...shape: number[]): Map<string, TensorDesc> => new Map([['x', { dtype: 'bf16', shape }]]);

/** A graph of one operation, placed in an outer one. */
function placed(build: (graph: AtbGraph) => void, name = 'inner'): AtbGraph {
  const inner = new AtbGraph(name);
  build(inner);
  const outer = new AtbGraph('outer');
  outer.addInputOutput({ input: ['x'], output: ['y'] });
  outer.addOperation(inner.build(), ['x'], ['y']);
  return outer;
}

const problems = (graph: AtbGraph, inputs = x(2, 6)) => specProblems(graph.build(), inputs).map(problemText);

describe('a nested export', () => {
  it('gives each view as a reshape of the tensor behind it, whatever lies between', () => {
    const graph = placed((inner) => {
      inner.addInputOutput({ input: ['x'], output: ['y'] });
      inner.addReshape('x', 'heads', [dim(0), 3, 2]);
      inner.addReshape('heads', 'rows', [dim(0, 1), dim(2)]);
      inner.addOperation(relu, ['rows'], ['y']);
    });
    const { graphs } = nestedExport(graph.build(), x(2, 6));
    expect(graphs.map(({ name }) => name)).to.deep.equal(['inner', 'outer']);
    expect(graphs[0]?.reshapes).to.deep.equal({
      heads: { tensor: 'x', shape: [{ axes: [0] }, 3, 2] },
      rows: { tensor: 'x', shape: [{ axes: [0], times: 3 }, 2] },
    });
    const text = formatNestedExport(nestedExport(graph.build(), x(2, 6)));
    expect(JSON.parse(text)).to.deep.equal(nestedExport(graph.build(), x(2, 6)));
    expect(text.split('\n').filter((line) => line.includes('"type":"Activation"'))).to.have.length(1);
  });

  it('tells different graphs of one name apart', () => {
    const of = (type: 'ACTIVATION_RELU' | 'ACTIVATION_SIGMOID') => {
      const inner = new AtbGraph('layer');
      inner.addInputOutput({ input: ['a'], output: ['b'] });
      inner.addOperation(new BaseOperation('Activation', { activationType: type }, 'act'), ['a'], ['b']);
      return inner.build();
    };
    const outer = new AtbGraph('outer');
    outer.addInputOutput({ input: ['x'], output: ['z'] });
    outer.addOperation(of('ACTIVATION_RELU'), ['x'], ['y'], { name: 'first' });
    outer.addOperation(of('ACTIVATION_SIGMOID'), ['y'], ['z'], { name: 'second' });
    const { graphs } = nestedExport(outer.build(), x(2, 6));
    expect(graphs.map(({ name }) => name)).to.deep.equal(['layer', 'layer_2', 'outer']);
    expect(graphs[2]?.nodes.map((node) => 'graph' in node && node.graph)).to.deep.equal(['layer', 'layer_2']);
  });
});

describe('legality of nested graphs', () => {
  it('names the graph in which something is wrong', () => {
    const graph = placed((inner) => {
      inner.addInputOutput({ input: ['x'], output: ['y'] });
      inner.addOperation(relu, ['x'], ['y']);
    });
    expect(problems(graph)).to.deep.equal([]);
    const [problem] = problems(graph, new Map([['x', { dtype: 'f16', shape: [2, 6] }]]));
    expect(problem).to.match(/^inner, node 0 \(Activation -> y\): has dtypes float16/);
    expect(() => assertLegalSpec(graph.build(), new Map([['x', { dtype: 'f16', shape: [2, 6] }]]))).to.throw(
      /GRAPH_ILLEGAL: outer is not legal in ATB: inner, node 0/,
    );
  });

  it('asks a sub-graph for a name that ATB takes', () => {
    const graph = placed((inner) => {
      inner.addInputOutput({ input: ['x'], output: ['y'] });
      inner.addOperation(relu, ['x'], ['y']);
    }, 'my-graph');
    expect(problems(graph)[0]).to.match(/graph "my-graph": the name must match/);
  });

  it('counts the tensors and nodes of a sub-graph, and not those of the outer graph', () => {
    const chain = (graph: AtbGraph, length: number) => {
      graph.addInputOutput({ input: ['x'], output: ['y'] });
      for (let i = 0; i < length; i++) {
        const out = i === length - 1 ? 'y' : `t${i + 1}`;
        graph.addOperation(relu, [i === 0 ? 'x' : `t${i}`], [out], { name: `n${i}` });
      }
    };
    expect(problems(placed((inner) => chain(inner, 257)))).to.deep.equal([]);
    expect(problems(placed((inner) => chain(inner, 1025)))).to.deep.equal([
      'graph "inner": has 1025 nodes, at most 1024 are possible',
      'graph "inner": has 1024 inner tensors, at most 256 are possible',
    ]);
    const outer = new AtbGraph('outer');
    chain(outer, 1025);
    expect(problems(outer)).to.deep.equal([]);
  });

  it('refuses a view as what a graph gives out', () => {
    const graph = placed((inner) => {
      inner.addInputOutput({ input: ['x'], output: ['y'] });
      inner.addOperation(relu, ['x'], ['t']);
      inner.addReshape('t', 'y', [dim(1), dim(0)]);
    });
    expect(problems(graph)).to.deep.equal(['inner, output "y": is a view; ATB\'s graphs give out tensors']);
  });

  it('refuses in the outer graph what MindIE cannot run node by node, nor in a sub-graph', () => {
    const outer = new AtbGraph('outer');
    outer.addInputOutput({ input: ['x'], output: ['a', 'b'] });
    outer.addOperation(split, ['x'], ['a', 'b']);
    expect(problems(outer)).to.deep.equal([
      'node "split": writes 2 tensors and reads 1; place it in a sub-graph',
    ]);
  });
});

describe('an outer graph', () => {
  const add = new BaseOperation('Elewise', { elewiseType: 'ELEWISE_ADD' }, 'add');
  /** relu(x), whose halves are summed, seen as one row, and their difference to the row of x. */
  const outer = new AtbGraph('outer');
  outer.addInputOutput({ input: ['x'], output: ['z'] });
  outer.addOperation(relu, ['x'], ['t']);
  outer.addOperation(split, ['t'], ['a', 'b']);
  outer.addOperation(add, ['a', 'b'], ['sum']);
  outer.addReshape('sum', 'row', [dim(0, 1)]);
  outer.addReshape('a', 'first', [dim(0, 1)]);
  outer.addOperation(add, ['row', 'first'], ['z'], { name: 'last' });

  it('places in sub-graphs what MindIE cannot run node by node', () => {
    expect(problems(outer)).to.deep.equal([]);
    const { graphs } = nestedExport(outer.build(), x(2, 6));
    expect(graphs.map(({ name, inputs, outputs }) => [name, inputs, outputs])).to.deep.equal([
      ['last_graph', ['t'], ['z']],
      ['outer', ['x'], ['z']],
    ]);
    const [inner, root] = graphs;
    expect(root?.nodes.map(({ name, in: ins, out }) => [name, ins, out])).to.deep.equal([
      ['relu', ['x'], ['t']],
      ['last', ['t'], ['z']],
    ]);
    expect([Object.keys(inner?.reshapes ?? {}), root?.reshapes]).to.deep.equal([['row', 'first'], {}]);
    expect(inner?.nodes.map(({ name }) => name)).to.deep.equal(['split', 'add', 'last']);
  });

  it('has the same operations so, in the same order', () => {
    const { graph } = flatten(outer.build(), x(2, 6));
    const mended = flatten(asOuterGraph(outer.build()), x(2, 6));
    expect(JSON.parse(JSON.stringify(mended.graph).replaceAll('last.', ''))).to.deep.equal(graph);
  });

  it('stays as it is where MindIE can run it', () => {
    const fine = placed((inner) => {
      inner.addInputOutput({ input: ['x'], output: ['y'] });
      inner.addReshape('x', 'row', [dim(0, 1)]);
      inner.addOperation(relu, ['row'], ['y']);
    }).build();
    expect(asOuterGraph(fine)).to.equal(fine);
  });
});
