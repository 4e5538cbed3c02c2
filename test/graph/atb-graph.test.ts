import { expect } from 'chai';
import { AtbError, type ErrorCode } from '../../src/errors.js';
import { AtbGraph, BaseOperation, dim, type GraphSpec } from '../../src/graph/atb-graph.js';
import { GraphInterner, serializeGraphs, writtenInputs } from '../../src/graph/graph-spec.js';

const add = (name: string) => new BaseOperation('Elewise', { elewiseType: 'ELEWISE_ADD' }, name);

function failure(action: () => unknown): AtbError {
  try {
    action();
  } catch (error) {
    if (error instanceof AtbError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

/** A graph x, w -> y whose middle `fill` writes. */
function graphWith(fill: (graph: AtbGraph) => void, input = ['x', 'w'], output = ['y']): AtbGraph {
  const graph = new AtbGraph('g');
  graph.addInputOutput({ input, output });
  fill(graph);
  return graph;
}

function expectFailure(
  code: ErrorCode,
  message: RegExp,
  fill: (graph: AtbGraph) => void,
  input?: string[],
): void {
  const error = failure(() => graphWith(fill, input).build());
  expect(error.code).to.equal(code);
  expect(error.message).to.match(message);
}

describe('AtbGraph', () => {
  it('becomes plain data that survives JSON', () => {
    const spec = graphWith((graph) => {
      graph.addReshape('x', 'x_heads', [dim(0), 2, 3]);
      graph.addOperation(add('sum'), ['x_heads', 'w'], ['y'], { hint: { causal: true, windowSize: 4 } });
    }).build();
    expect(JSON.parse(JSON.stringify(spec))).to.deep.equal(spec);
    expect(spec.views.x_heads).to.deep.equal({ source: 'x', shape: [{ axes: [0] }, 2, 3] });
  });

  it('is frozen throughout once it is built', () => {
    const spec = graphWith((graph) => graph.addOperation(add('sum'), ['x', 'w'], ['y'])).build();
    expect(() => (spec.inputs as string[]).push('z')).to.throw(TypeError);
    expect(() => Object.assign(spec.nodes[0]?.op ?? {}, { type: 'Linear' })).to.throw(TypeError);
    expect(() => Object.assign(spec, { name: 'other' })).to.throw(TypeError);
  });

  it('refuses a misspelt tensor by name', () => {
    expectFailure('GRAPH_UNDEFINED_TENSOR', /"sum" reads "wieght"/, (graph) =>
      graph.addOperation(add('sum'), ['x', 'wieght'], ['y']),
    );
  });

  it('refuses to read a tensor before it is written', () => {
    expectFailure('GRAPH_UNDEFINED_TENSOR', /"first" reads "late"/, (graph) => {
      graph.addOperation(add('first'), ['x', 'late'], ['y']);
      graph.addOperation(add('second'), ['x', 'w'], ['late']);
    });
  });

  it('refuses a missing output', () => {
    expectFailure('GRAPH_UNDEFINED_TENSOR', /"output" reads "y"/, (graph) =>
      graph.addOperation(add('sum'), ['x', 'w'], ['z']),
    );
  });

  it('refuses to write a tensor twice, an input, or a view', () => {
    expectFailure('GRAPH_TENSOR_REDEFINED', /"second" writes "y"/, (graph) => {
      graph.addOperation(add('first'), ['x', 'w'], ['y']);
      graph.addOperation(add('second'), ['x', 'w'], ['y']);
    });
    expectFailure('GRAPH_TENSOR_REDEFINED', /"sum" writes "x"/, (graph) =>
      graph.addOperation(add('sum'), ['x', 'w'], ['x']),
    );
    expectFailure('GRAPH_TENSOR_REDEFINED', /"sum" writes "v"/, (graph) => {
      graph.addReshape('x', 'v', [dim(0), dim(1)]);
      graph.addOperation(add('sum'), ['v', 'w'], ['v']);
    });
  });

  it('refuses an input that nobody reads, and a view that nobody reads', () => {
    const use = (graph: AtbGraph) => graph.addOperation(add('sum'), ['x', 'w'], ['y']);
    expectFailure('GRAPH_UNUSED_INPUT', /declared but never read: stale.weight/, use, [
      'x',
      'w',
      'stale.weight',
    ]);
    expectFailure('GRAPH_VIEW_INVALID', /view "v" is never read/, (graph) => {
      graph.addReshape('x', 'v', [dim(0)]);
      use(graph);
    });
  });

  describe('with optional inputs', () => {
    const offering = (fill: (graph: AtbGraph) => void): AtbGraph => {
      const graph = graphWith(fill, ['x'], ['y']);
      graph.addOptionalInputs(['mask', 'cos', 'w']);
      return graph;
    };

    it('has those that an operation reads, after the required ones and in the order of the offer', () => {
      const spec = offering((graph) => {
        graph.addOperation(add('first'), ['x', 'w'], ['a']);
        graph.addOperation(add('second'), ['a', 'mask'], ['y']);
      }).build();
      expect(spec.inputs).to.deep.equal(['x', 'mask', 'w']);
    });

    it('has those that only a view or the output reads', () => {
      const graph = offering((g) => {
        g.addReshape('w', 'flat', [dim(0, 1)]);
        g.addOperation(add('sum'), ['x', 'flat'], ['a']);
      });
      graph.addInputOutput({ input: ['x'], output: ['a', 'cos'] });
      expect(graph.build().inputs).to.deep.equal(['x', 'cos', 'w']);
    });

    it('still refuses a required input that nobody reads', () => {
      const graph = offering((g) => g.addOperation(add('sum'), ['mask', 'w'], ['y']));
      expect(failure(() => graph.build()).code).to.equal('GRAPH_UNUSED_INPUT');
    });

    it('refuses a name that nobody offers, and says which one it resembles', () => {
      const { code, message } = failure(() =>
        offering((graph) => graph.addOperation(add('sum'), ['x', 'msak'], ['y'])).build(),
      );
      expect(code).to.equal('GRAPH_UNDEFINED_TENSOR');
      expect(message).to.match(/"sum" reads "msak", which nothing before it writes; nearest: "mask"/);
    });

    it('refuses an operation that writes an offered name which is read', () => {
      const graph = offering((g) => {
        g.addOperation(add('first'), ['x', 'w'], ['mask']);
        g.addOperation(add('second'), ['mask', 'w'], ['y']);
      });
      expect(failure(() => graph.build()).code).to.equal('GRAPH_TENSOR_REDEFINED');
    });

    it('takes a required name once when it is offered as well, and offers of one name as one', () => {
      const graph = offering((g) => g.addOperation(add('sum'), ['x', 'w'], ['y']));
      graph.addOptionalInputs(['x', 'w']);
      expect(graph.build().inputs).to.deep.equal(['x', 'w']);
    });

    it('drops the scope from offered names', () => {
      const graph = new AtbGraph('layer', 'layers.0.');
      graph.addInputOutput({ input: ['x'], output: ['y'] });
      graph.addOptionalInputs(['layers.0.w']);
      graph.addOperation(add('sum'), ['x', 'layers.0.w'], ['y']);
      expect(graph.build().inputs).to.deep.equal(['x', 'w']);
    });
  });

  it('names every tensor that is defined so far: inputs, optional inputs, then what was made, in order', () => {
    const graph = new AtbGraph('g', 'layers.0.');
    graph.addInputOutput({ input: ['k', 'v', 'k_cache', 'v_cache', 'layers.0.w'], output: ['y'] });
    graph.addOptionalInputs(['slots', 'mask']);
    expect(graph.names()).to.deep.equal(['k', 'v', 'k_cache', 'v_cache', 'w', 'slots', 'mask']);
    graph.addReshape('k', 'k_heads', [dim(0), 2, 3]);
    const write = new BaseOperation('ReshapeAndCache', {}, 'write');
    graph.addOperation(write, ['k_heads', 'v', 'k_cache', 'v_cache', 'slots'], ['k_cache', 'v_cache']);
    graph.addOperation(add('sum'), ['k', 'layers.0.w'], ['layers.0.sum']);
    expect(graph.names().slice(7)).to.deep.equal(['k_heads', 'sum']);
  });

  it('names the tensor that a view lacks, not only the view', () => {
    expectFailure('GRAPH_UNDEFINED_TENSOR', /reads "k_rope" \(through its view "k_heads"\)/, (graph) => {
      graph.addReshape('k_rope', 'k_heads', [dim(0)]);
      graph.addOperation(add('sum'), ['k_heads', 'w'], ['y']);
    });
  });

  it('refuses two nodes of one name', () => {
    expectFailure('GRAPH_DUPLICATE_NODE', /two nodes are named "sum"/, (graph) => {
      graph.addOperation(add('sum'), ['x', 'w'], ['a']);
      graph.addOperation(add('sum'), ['a', 'w'], ['y']);
    });
  });

  it('refuses views that go in a circle', () => {
    expectFailure('GRAPH_UNDEFINED_TENSOR', /reads "v"/, (graph) => {
      graph.addReshape('u', 'v', [dim(0)]);
      graph.addReshape('v', 'u', [dim(0)]);
      graph.addOperation(add('sum'), ['v', 'w'], ['y']);
    });
  });

  it('refuses dimensions that are neither positive constants nor axes', () => {
    for (const bad of [0, -1, 1.5, dim(), dim(-1)]) {
      expectFailure('GRAPH_VIEW_INVALID', /neither a positive constant nor axes/, (graph) =>
        graph.addReshape('x', 'v', [bad]),
      );
    }
  });

  it('refuses a wrong number of tensors when the operation is added', () => {
    expectFailure('GRAPH_ARITY_MISMATCH', /"sum" takes 2 input tensors, found 1/, (graph) =>
      graph.addOperation(add('sum'), ['x'], ['y']),
    );
    expectFailure('GRAPH_ARITY_MISMATCH', /"split" takes 3 output tensors, found 1/, (graph) =>
      graph.addOperation(new BaseOperation('Split', { splitDim: 1, splitNum: 3 }, 'split'), ['x'], ['y']),
    );
  });

  it('shows cache writes as outputs that are inputs, and refuses any other place for them', () => {
    const input = ['k', 'v', 'k_cache', 'v_cache', 'slots'];
    const write = (outputs: string[]) =>
      graphWith(
        (graph) => graph.addOperation(new BaseOperation('ReshapeAndCache', {}, 'write'), input, outputs),
        input,
        ['k_cache', 'v_cache'],
      ).build();
    expect(writtenInputs(write(['k_cache', 'v_cache']))).to.deep.equal(['k_cache', 'v_cache']);
    expect(failure(() => write(['k_cache', 'other'])).code).to.equal('GRAPH_NOT_IN_PLACE');
  });

  it('places a graph by position, and finds what it writes in place', () => {
    const inner = new AtbGraph('inner');
    const input = ['k', 'v', 'k_cache', 'v_cache', 'slots'];
    inner.addInputOutput({ input, output: ['k'] });
    inner.addOperation(new BaseOperation('ReshapeAndCache', {}, 'write'), input, ['k_cache', 'v_cache']);
    const outer = new AtbGraph('outer');
    outer.addInputOutput({ input: ['a', 'b', 'cache_0', 'cache_1', 's'], output: ['c'] });
    outer.addOperation(inner.build(), ['a', 'b', 'cache_0', 'cache_1', 's'], ['c'], { name: 'layer_0' });
    expect(writtenInputs(outer.build())).to.deep.equal(['cache_0', 'cache_1']);
    expect(failure(() => outer.addOperation(inner.build(), ['a'], ['c'])).code).to.equal(
      'GRAPH_ARITY_MISMATCH',
    );
  });

  it('shares equal sub-graphs as one object, and sends each once', () => {
    const layer = (id: number): GraphSpec => {
      const scope = `layers.${id}.`;
      const graph = new AtbGraph('layer', scope);
      graph.addInputOutput({ input: ['x', `${scope}w`], output: ['y'] });
      graph.addOperation(add('sum'), ['x', `${scope}w`], ['y']);
      return graph.build();
    };
    const model = new AtbGraph('model');
    model.addInputOutput({ input: ['h0', 'layers.0.w', 'layers.1.w'], output: ['h2'] });
    model.addOperation(layer(0), ['h0', 'layers.0.w'], ['h1'], { name: 'layer_0' });
    model.addOperation(layer(1), ['h1', 'layers.1.w'], ['h2'], { name: 'layer_1' });
    const spec = model.build();
    const [first, second] = spec.nodes.map(({ op }) => ('graph' in op ? op.graph : undefined));
    expect(first).to.equal(second);
    const wire = JSON.parse(serializeGraphs([spec, spec]));
    expect(wire.graphs).to.have.length(2);
    expect(wire.roots).to.deep.equal([1, 1]);
    expect(wire.graphs[1].nodes[1].op).to.deep.equal({ graph: 0 });
  });

  it('interns by content, whoever made the object', () => {
    const make = () => graphWith((graph) => graph.addOperation(add('sum'), ['x', 'w'], ['y'])).build();
    const interner = new GraphInterner();
    expect(interner.intern(make())).to.equal(interner.intern(make()));
  });

  it('can be changed after it was built, and builds anew', () => {
    const graph = graphWith((g) => g.addOperation(add('sum'), ['x', 'w'], ['y']));
    expect(graph.spec().nodes).to.have.length(1);
    graph.addOperation(add('more'), ['y', 'w'], ['z']);
    expect(graph.spec().nodes).to.have.length(2);
  });

  it('neither compiles nor runs with misspelt fields, foreign blocks or unknown enum strings', () => {
    const wrong: [ErrorCode, () => unknown][] = [
      [
        'GRAPH_PARAM_INVALID',
        // @ts-expect-error a misspelt ATB field
        () => new BaseOperation('RmsNorm', { layerType: 'RMS_NORM_NORM', normParam: { eps: 1e-6 } }, 'n'),
      ],
      [
        'GRAPH_PARAM_INVALID',
        () =>
          // @ts-expect-error the block that layerType does not select
          new BaseOperation('RmsNorm', { layerType: 'RMS_NORM_NORM', preNormParam: { epsilon: 1 } }, 'n'),
      ],
      // @ts-expect-error no such enum string
      ['GRAPH_PARAM_INVALID', () => new BaseOperation('Elewise', { elewiseType: 'ELEWISE_AD' }, 'e')],
      // @ts-expect-error no such operation
      ['GRAPH_OP_UNKNOWN', () => new BaseOperation('Elementwise', {}, 'e')],
    ];
    for (const [code, make] of wrong) expect(failure(make).code).to.equal(code);
  });
});
