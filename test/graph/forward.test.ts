import { expect } from 'chai';
import type { Tensor } from '../../src/dtype.js';
import { AtbGraph, BaseOperation } from '../../src/graph/atb-graph.js';
import { type ForwardRequest, runForward } from '../../src/graph/forward.js';
import type { GraphExecutor } from '../../src/graph/graph-executor.js';

/** The values of a tensor that must be there. */
const values = (tensor: Tensor | undefined): number[] =>
  Array.from((tensor?.data ?? []) as ArrayLike<number>);

const f32 = (...values: number[]): Tensor<'f32'> => ({
  dtype: 'f32',
  shape: [values.length],
  data: Float32Array.from(values),
});

/** Executes graphs of additions and of ReshapeAndCache, whose caches become ones: enough to see what goes where. */
const adder: GraphExecutor = {
  async forward(spec, inputs, intermediates) {
    const known = new Map(Object.entries(inputs));
    for (const { op, inputs: ins, outputs } of spec.nodes) {
      if ('type' in op && op.type === 'ReshapeAndCache') {
        for (const name of outputs) known.set(name, f32(...values(known.get(name)).map(() => 1)));
        continue;
      }
      const [a, b] = ins.map((name) => values(known.get(name)));
      known.set(outputs[0] ?? '', f32(...(a ?? []).map((value, index) => value + (b?.[index] ?? 0))));
    }
    const pick = (names: readonly string[]) =>
      Object.fromEntries(names.map((name) => [name, known.get(name) as Tensor]));
    return { outputs: pick(spec.outputs), intermediates: pick(intermediates) };
  },
};

const graph = new AtbGraph('g');
graph.addInputOutput({ input: ['x', 'w'], output: ['y'] });
const add = (name: string) => new BaseOperation('Elewise', { elewiseType: 'ELEWISE_ADD' }, name);
graph.addOperation(add('first'), ['x', 'w'], ['s']);
graph.addOperation(add('second'), ['s', 'x'], ['y']);

const run = (request: Partial<ForwardRequest>) =>
  runForward(
    { spec: graph.build(), weights: {}, inputs: {}, outputs: {}, bind: {}, intermediates: [], ...request },
    () => adder,
  );

async function rejection(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error('nothing was thrown');
}

describe('forward', () => {
  it('returns outputs, and the inner tensors that were asked for', async () => {
    const result = await run({ inputs: { x: f32(1, 2), w: f32(10, 20) }, intermediates: ['s'] });
    expect(values(result.y)).to.deep.equal([12, 24]);
    expect(values(result.s)).to.deep.equal([11, 22]);
  });

  it('prefers weights to inputs of their name, as MindIE does', async () => {
    const result = await run({ weights: { w: f32(5, 5) }, inputs: { x: f32(1, 2), w: f32(10, 20) } });
    expect(values(result.y)).to.deep.equal([7, 9]);
  });

  it('writes into outputs that are given', async () => {
    const y = f32(0, 0);
    const result = await run({ inputs: { x: f32(1, 2), w: f32(10, 20) }, outputs: { y } });
    expect(result.y).to.equal(y);
    expect(values(y)).to.deep.equal([12, 24]);
  });

  it('updates caches in the arrays of the caller', async () => {
    const input = ['k', 'v', 'k_cache', 'v_cache', 'slots'];
    const write = new BaseOperation('ReshapeAndCache', {}, 'write');
    const tensors = Object.fromEntries(write.inputNames.map((name) => [name, f32(0, 0)]));
    const result = await runForward(
      { spec: write.spec(), weights: {}, inputs: tensors, outputs: {}, bind: {}, intermediates: [] },
      () => adder,
    );
    expect(input).to.have.length(write.inputNames.length);
    expect(values(tensors.in2)).to.deep.equal([1, 1]);
    expect(result.in3).to.equal(tensors.in3);
  });

  it('runs the nodes one by one where the graph is not to be executed as one', async () => {
    const ran: string[][] = [];
    const watched: GraphExecutor = {
      forward(spec, ...rest) {
        ran.push(spec.nodes.map(({ name }) => name));
        return adder.forward(spec, ...rest);
      },
    };
    const request = { weights: {}, outputs: {}, bind: {}, intermediates: ['s'] };
    const inputs = { x: f32(1, 2), w: f32(10, 20) };
    const once = (executeAsSingle: boolean) =>
      runForward({ ...request, spec: graph.build(), inputs, executeAsSingle }, () => watched);
    expect(await once(false)).to.deep.equal(await once(true));
    expect(ran).to.deep.equal([['first'], ['second'], ['first', 'second']]);
  });

  it('updates caches that are no outputs of the graph', async () => {
    const input = ['k', 'v', 'k_cache', 'v_cache', 'slots'];
    const writer = new AtbGraph('writer');
    writer.addInputOutput({ input, output: ['sum'] });
    writer.addOperation(new BaseOperation('ReshapeAndCache', {}, 'write'), input, ['k_cache', 'v_cache']);
    writer.addOperation(add('sum'), ['k', 'v'], ['sum']);
    const tensors = Object.fromEntries(input.map((name) => [name, f32(0, 0)]));
    const result = await run({ spec: writer.build(), inputs: tensors });
    expect(Object.keys(result)).to.deep.equal(['sum']);
    expect([values(tensors.k_cache), values(tensors.v_cache), values(tensors.k)]).to.deep.equal([
      [1, 1],
      [1, 1],
      [0, 0],
    ]);
  });

  it('accepts host copies that agree with their inputs, and no others', async () => {
    const inputs = { x: f32(1, 2), w: f32(10, 20) };
    expect((await run({ inputs, bind: { x: f32(1, 2) } })).y?.shape).to.deep.equal([2]);
    expect(await rejection(run({ inputs, bind: { x: f32(1) } }))).to.match(
      /tensor "x" must be f32\[2\], found f32\[1\]/,
    );
    expect(await rejection(run({ inputs, bind: { seq_len: f32(1) } }))).to.match(
      /g has no bind "seq_len"; it has: x, w/,
    );
  });

  it('refuses unknown, missing, mis-shaped and half-filled tensors', async () => {
    const inputs = { x: f32(1, 2), w: f32(10, 20) };
    expect(await rejection(run({ inputs: { x: f32(1) } }))).to.match(
      /GRAPH_INPUT_MISSING: g: no tensor was given for: w/,
    );
    expect(await rejection(run({ inputs: { ...inputs, z: f32(1) } }))).to.match(/g has no input "z"/);
    expect(await rejection(run({ inputs, outputs: { z: f32(1) } }))).to.match(/g has no output "z"/);
    expect(await rejection(run({ inputs, outputs: { y: f32(1) } }))).to.match(
      /tensor "y" must be f32\[2\], found f32\[1\]/,
    );
    const short: Tensor = { dtype: 'f32', shape: [3], data: new Float32Array(2) };
    expect(await rejection(run({ inputs: { ...inputs, x: short } }))).to.match(
      /3 elements for f32\[3\], found 2/,
    );
  });

  it('refuses weights that the graph does not have', () => {
    expect(() => graph.setWeights({ bias: f32(1) })).to.throw(/GRAPH_TENSOR_UNKNOWN: g has no weight "bias"/);
  });

  it('numbers the tensors of a single operation', () => {
    const split = new BaseOperation('Split', { splitDim: 0, splitNum: 3 }, 'split');
    expect([split.inputNames, split.outputNames]).to.deep.equal([['in0'], ['out0', 'out1', 'out2']]);
    expect(new BaseOperation('ReshapeAndCache', {}, 'write').outputNames).to.deep.equal(['in2', 'in3']);
  });
});
