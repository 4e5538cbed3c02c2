import { expect } from 'chai';
import { AtbError } from '../../src/errors.js';
import { AtbGraph, BaseOperation, legalityProblems, registerOp, specProblems } from '../../src/index.js';
import { createEngine } from '../../src/native/index.js';

declare module '../../src/index.js' {
  interface AtbOpParams {
    /** x -> x within [min, max]. */
    TestClamp: { readonly min: number; readonly max: number; readonly rounding?: 'none' | 'up' };
  }
}

registerOp({
  type: 'TestClamp',
  keys: { min: 'number', max: 'number', rounding: ['none', 'up'] },
  arity: () => ({ inputs: 1, outputs: 1 }),
  shapes(inputs, { min, max }) {
    if (min > max) inputs.fail(`min ${min} is above max ${max}`);
    return [inputs.at(0)];
  },
});

const clamp = new BaseOperation('TestClamp', { min: -1, max: 1 }, 'clamp');

function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof AtbError) return error.code;
    throw error;
  }
  return 'nothing was thrown';
}

function clampGraph() {
  const graph = new AtbGraph('clamped');
  graph.addInputOutput({ input: ['x'], output: ['y'] });
  graph.addOperation(clamp, ['x'], ['y']);
  return graph.build();
}

const x = new Map([['x', { dtype: 'bf16' as const, shape: [2, 3] }]]);

describe('an operation of a user', () => {
  it('is typed by declaration merging', () => {
    // @ts-expect-error a misspelt key
    expect(codeOf(() => new BaseOperation('TestClamp', { min: 0, mx: 1 }, 'c'))).to.equal(
      'GRAPH_PARAM_INVALID',
    );
    const param = { min: 0, max: 1, rounding: 'down' } as const;
    // @ts-expect-error no such choice
    expect(codeOf(() => new BaseOperation('TestClamp', param, 'c'))).to.equal('GRAPH_PARAM_INVALID');
  });

  it('lists keys that its param has', () => {
    const wrong = () =>
      registerOp({
        type: 'TestClamp',
        // @ts-expect-error a key that the param does not have
        keys: { minimum: 'number' },
        arity: () => ({ inputs: 1, outputs: 1 }),
        shapes: (inputs) => [inputs.at(0)],
      });
    expect(codeOf(wrong)).to.equal('GRAPH_OP_DUPLICATE');
  });

  it('has its number of tensors checked', () => {
    const graph = new AtbGraph('g');
    expect(codeOf(() => graph.addOperation(clamp, ['x', 'y'], ['z']))).to.equal('GRAPH_ARITY_MISMATCH');
  });

  it('is an extension to ATB, and gives its shapes to the operations after it', () => {
    expect(specProblems(clampGraph(), x)).to.deep.equal([
      { rule: 'extension-op', where: 'node 0 (TestClamp -> y)', text: 'TestClamp is an extension op' },
    ]);
    const graph = new AtbGraph('g');
    graph.addInputOutput({ input: ['x'], output: ['y'] });
    graph.addOperation(new BaseOperation('TestClamp', { min: 2, max: 1 }, 'clamp'), ['x'], ['y']);
    expect(() => specProblems(graph.build(), x)).to.throw(/GRAPH_SHAPE_MISMATCH.*min 2 is above max 1/);
  });

  it('cannot take a name that is taken', () => {
    const again = { type: 'Gather', arity: () => ({ inputs: 2, outputs: 1 }), shapes: () => [] } as const;
    expect(codeOf(() => registerOp(again))).to.equal('GRAPH_OP_DUPLICATE');
  });

  it('needs its number of tensors and its shapes, which JavaScript may forget', () => {
    const shapeless = { type: 'TestClamps', arity: () => ({ inputs: 1, outputs: 1 }) };
    expect(() => registerOp(shapeless as never)).to.throw(
      /GRAPH_OP_INVALID: the definition of the operation "TestClamps": shapes must be a function, found undefined/,
    );
  });

  it('fails when a graph with it is loaded, if the engine has nothing native for it', () => {
    const engine = createEngine({ threads: 1 });
    try {
      expect(() => engine.loadGraph(clampGraph())).to.throw(
        /NATIVE_OP_MISSING: clamped: the engine cannot run "clamp": TestClamp was made known by registerOp/,
      );
    } finally {
      engine.dispose();
    }
  });

  it('fails in the same way when it runs alone', async () => {
    const input = { dtype: 'f32', shape: [1], data: Float32Array.of(2) } as const;
    const error = await clamp.forward({ in0: input }).then(
      () => undefined,
      (failure: unknown) => failure,
    );
    expect(error).to.be.instanceOf(AtbError);
    expect((error as AtbError).code).to.equal('NATIVE_OP_MISSING');
  });
});

describe('the legality of a graph', () => {
  it('can be asked for from outside, in one call with the descriptions of its inputs', () => {
    const graph = new AtbGraph('doubled');
    graph.addInputOutput({ input: ['x'], output: ['y'] });
    graph.addOperation(
      new BaseOperation('Elewise', { elewiseType: 'ELEWISE_MUL' }, 'mul'),
      ['x', 'x'],
      ['y'],
    );
    expect(specProblems(graph.build(), x)).to.deep.equal([]);
    const f32 = new Map([['x', { dtype: 'f32' as const, shape: [2, 3] }]]);
    expect(specProblems(graph.build(), f32).map(({ rule }) => rule)).to.deep.equal(['dtype']);
    expect(legalityProblems).to.be.a('function');
  });
});
