import { writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { AtbGraph, BaseOperation, dim } from '../../src/graph/atb-graph.js';
import type { GraphSpec } from '../../src/graph/graph-spec.js';
import { availableIsas, createEngine, type NativeEngine, supportedOps } from '../../src/native/index.js';
import '../../src/native/register.js';
import {
  add,
  expectNative,
  f32,
  greedy,
  i32,
  numbers,
  products,
  sameCaches,
  single,
  temporaryFolder,
} from './graphs.js';

describe('the native engine', () => {
  const folder = temporaryFolder();
  let engine: NativeEngine;
  beforeEach(() => {
    engine = createEngine({ threads: 2 });
  });
  afterEach(() => engine.dispose());

  it('names its kernels, its threads and its operations', () => {
    expect(availableIsas()).to.include('reference');
    expect(engine.isa).to.equal(availableIsas()[0]);
    expect(engine.threads).to.equal(2);
    expect(createEngine({ threads: 1, isa: 'reference' }).isa).to.equal('reference');
    expect(supportedOps()).to.include.members(['Linear', 'PagedAttention', 'RmsNorm']);
  });

  it('runs one operation on plain tensors', async () => {
    const { outputs } = await engine.forward(add, { a: f32([1, 2], [1, 2]), b: f32([1, 2], [10, 20.5]) });
    expect(outputs).to.deep.equal({ sum: f32([1, 2], [11, 22.5]) });
    const linear = single('Linear', { hasBias: true, transposeB: true }, ['x', 'w', 'bias'], ['y']);
    const product = await engine.forward(linear, {
      x: f32([1, 3], [1, 2, 3]),
      w: f32([2, 3], [1, 0, 1, 0, 2, 0]),
      bias: f32([1, 2], [0.5, -0.5]),
    });
    expect(product.outputs.y).to.deep.equal(f32([1, 2], [4.5, 3.5]));
  });

  it('hands back inner tensors, scalars and tensors without elements', async () => {
    const { outputs, intermediates } = await engine.forward(
      products(3),
      { x: f32([1, 1], [3]), w: f32([1, 1], [2]) },
      ['product_0/y0', 'product_1/y1'],
    );
    expect(outputs.y2).to.deep.equal(f32([1, 1], [24]));
    expect(intermediates['product_0/y0']).to.deep.equal(f32([1, 1], [6]));
    expect(intermediates['product_1/y1']).to.deep.equal(f32([1, 1], [12]));
    const none = await engine.forward(add, { a: f32([0, 4], []), b: f32([0, 4], []) });
    expect(none.outputs.sum).to.deep.equal(f32([0, 4], []));
  });

  it('runs a graph with sub-graphs, views and caches node by node with the same bits', async () => {
    const layer = new AtbGraph('layer');
    layer.addInputOutput({ input: ['x', 'w'], output: ['y'] });
    layer.addOperation(
      new BaseOperation('Linear', { hasBias: false, transposeB: true }, 'product'),
      ['x', 'w'],
      ['p'],
    );
    layer.addOperation(
      new BaseOperation('Elewise', { elewiseType: 'ELEWISE_ADD' }, 'add'),
      ['p', 'x'],
      ['y'],
    );
    const input = ['x', 'w', 'k_cache', 'v_cache', 'slots'];
    const graph = new AtbGraph('model');
    graph.addInputOutput({ input, output: ['flat', 'y'] });
    for (const [index, [from, to]] of [
      ['x', 'h'],
      ['h', 'y'],
    ].entries())
      graph.addOperation(layer.build(), [from ?? '', 'w'], [to ?? ''], { name: `layer_${index}` });
    graph.addReshape('y', 'heads', [dim(0), 1, dim(1)]);
    graph.addReshape('heads', 'flat', [dim(0, 1, 2)]);
    const caches = ['k_cache', 'v_cache'];
    const write = new BaseOperation('ReshapeAndCache', {}, 'write');
    graph.addOperation(write, ['heads', 'heads', ...caches, 'slots'], caches);
    const wave = (count: number) => Array.from({ length: count }, (_, i) => Math.sin(i));
    const run = async (executeAsSingle: boolean) => {
      graph.executeAsSingle = executeAsSingle;
      const cache = () => f32([1, 32, 1, 32], new Array(1024).fill(0));
      const given = {
        x: f32([2, 32], wave(64)),
        w: f32([32, 32], wave(1024)),
        k_cache: cache(),
        v_cache: cache(),
        slots: i32([3, 1]),
      };
      const made = await graph.forward(given, {}, {}, { intermediates: ['h', 'layer_1/p'] });
      return { made, k: given.k_cache, v: given.v_cache };
    };
    const whole = await run(true);
    expect(whole.made.flat?.shape).to.deep.equal([64]);
    expect(Object.keys(whole.made)).to.have.members(['flat', 'y', 'h', 'layer_1/p']);
    expect(whole.k.data.some((value) => value !== 0)).to.equal(true);
    expect(await run(false)).to.deep.equal(whole);
  });

  it('returns each dtype in its typed array', async () => {
    const bf16 = { dtype: 'bf16' as const, shape: [1, 2], data: Uint16Array.of(0x3f80, 0x4000) };
    const { outputs } = await engine.forward(add, { a: bf16, b: bf16 });
    expect(outputs.sum).to.deep.equal({
      dtype: 'bf16',
      shape: [1, 2],
      data: Uint16Array.of(0x4000, 0x4080),
    });
    const gather = single('Gather', { axis: 0 }, ['table', 'ids'], ['rows']);
    const rows = await engine.forward(gather, { table: f32([3, 2], [0, 1, 2, 3, 4, 5]), ids: i32([2, 0]) });
    expect(rows.outputs.rows).to.deep.equal(f32([2, 2], [4, 5, 0, 1]));
  });

  it('measures what the machine gives to its threads and kernels', async () => {
    for (const isa of availableIsas()) {
      const one = createEngine({ threads: 1, isa });
      const limits = await one.measureLimits();
      one.dispose();
      expect(limits.readBytesPerSecond).to.be.within(1e8, 1e12);
      expect(limits.flops).to.be.within(1e7, 1e14);
    }
  });

  it('copies inputs before a call returns', async () => {
    const a = f32([1, 2], [1, 2]);
    const promise = engine.forward(add, { a, b: f32([1, 2], [1, 1]) });
    a.data.fill(100);
    expect((await promise).outputs.sum).to.deep.equal(f32([1, 2], [2, 3]));
  });

  it('runs a shared sub-graph once per place, and views without copies', async () => {
    const double: GraphSpec = {
      ...add,
      name: 'double',
      inputs: ['v'],
      nodes: [{ ...add.nodes[0], name: 'op', inputs: ['v', 'v'] } as GraphSpec['nodes'][number]],
    };
    const spec: GraphSpec = {
      name: 'outer',
      inputs: ['x'],
      outputs: ['z'],
      views: { flat: { source: 'y', shape: [1, { axes: [0, 1] }] } },
      nodes: [
        { name: 'layer_0', op: { graph: double }, inputs: ['x'], outputs: ['y'] },
        { name: 'layer_1', op: { graph: double }, inputs: ['flat'], outputs: ['z'] },
      ],
    };
    const { outputs } = await engine.forward(spec, { x: f32([2, 2], [1, 2, 3, 4]) });
    expect(outputs.z).to.deep.equal(f32([1, 4], [4, 8, 12, 16]));
  });

  it('updates caches that are given row-major', async () => {
    const spec = single('ReshapeAndCache', {}, ['k', 'v', 'kc', 'vc', 'slots'], ['kc', 'vc']);
    const cache = f32([2, 32, 1, 8], new Float32Array(512).fill(7));
    const { outputs } = await engine.forward(spec, {
      k: f32([1, 1, 8], [1, 2, 3, 4, 5, 6, 7, 8]),
      v: f32([1, 1, 8], [8, 7, 6, 5, 4, 3, 2, 1]),
      kc: cache,
      vc: cache,
      slots: i32([33]),
    });
    expect(numbers(outputs.kc).slice(32 * 8, 34 * 8)).to.deep.equal([
      7, 7, 7, 7, 7, 7, 7, 7, 1, 2, 3, 4, 5, 6, 7, 8,
    ]);
    expect(numbers(outputs.vc)[33 * 8]).to.equal(8);
  });

  it('samples the rows of the first output and keeps logits unless asked', async () => {
    engine.setTensor('b', f32([1, 4], [0, 1, 0, 0]));
    const graph = engine.loadGraph(add);
    const first = engine.createSampler({ ...greedy, topLogprobs: 2 });
    const second = engine.createSampler({ ...greedy, temperature: 1, logitBias: [[3, 1000]] });
    const a = f32([3, 4], [0, 0, 0, 0.5, 9, 9, 9, 9, 1, 1, 1, 1]);
    const result = await engine.run(graph, { a }, { samplers: Int32Array.of(first, -1, second) });
    expect([...result.tokens]).to.deep.equal([1, -1, 3]);
    expect(result.logits).to.equal(undefined);
    expect(result.logprobs[1]).to.equal(undefined);
    expect([...(result.logprobs[0]?.topTokens ?? [])]).to.deep.equal([1, 3]);
    expect(result.logprobs[0]?.logprob).to.be.closeTo(1 - Math.log(2 + Math.E + Math.exp(0.5)), 1e-5);
    const asked = await engine.run(graph, { a }, { logits: true });
    expect(asked.logits).to.deep.equal(f32([3, 4], [0, 1, 0, 0.5, 9, 10, 9, 9, 1, 2, 1, 1]));
    expect(asked.tokens.length).to.equal(0);
  });

  it('reports rows that are not finite as -2 and samples the others', async () => {
    engine.setTensor('b', f32([1, 2], [0, 0]));
    const graph = engine.loadGraph(add);
    const samplers = Int32Array.of(engine.createSampler(greedy), engine.createSampler(greedy));
    const { tokens } = await engine.run(graph, { a: f32([2, 2], [Number.NaN, 0, 1, 2]) }, { samplers });
    expect([...tokens]).to.deep.equal([-2, 1]);
  });

  it('continues a sampler through tokens that it is told', async () => {
    engine.setTensor('b', f32([1, 3], [0, 0, 0]));
    const graph = engine.loadGraph(add);
    const options = { ...greedy, repetitionPenalty: 4, promptTokens: Int32Array.of(2) };
    const a = f32([1, 3], [1, 1.5, 3]);
    const sample = async (sampler: number) =>
      (await engine.run(graph, { a }, { samplers: Int32Array.of(sampler) })).tokens[0];
    const sampler = engine.createSampler(options);
    expect(await sample(sampler)).to.equal(1); // 3 / 4 < 1.5: the prompt counts.
    expect(await sample(sampler)).to.equal(0);
    const told = engine.createSampler(options);
    engine.appendTokens(told, Int32Array.of(1));
    expect(await sample(told)).to.equal(0);
    engine.retractTokens(told, Int32Array.of(1, 0));
    expect(await sample(told)).to.equal(1);
    engine.freeSampler(told);
  });

  it('plans memory for the largest step at once, in an arena of all graphs', async () => {
    const own = createEngine({ threads: 2 });
    own.setTensor('b', f32([1, 64], new Array(64).fill(1)));
    const [one, other] = [own.loadGraph(add), own.loadGraph(add)];
    await own.reserve(one, { a: { dtype: 'f32', shape: [100, 64] } });
    const { arenaBytes, plans } = own.graphStats(one);
    expect([plans, own.memory().arenaBytes]).to.deep.equal([1, arenaBytes]);
    for (const rows of [3, 100, 17]) {
      const { planReason } = await own.run(one, { a: f32([rows, 64], new Array(64 * rows).fill(2)) });
      expect(planReason).to.equal(undefined);
    }
    await own.run(other, { a: f32([50, 64], new Array(64 * 50).fill(2)) });
    expect(own.graphStats(other).arenaBytes).to.be.below(arenaBytes);
    expect(own.memory().arenaBytes).to.equal(arenaBytes);
    own.dispose();
  });

  it('runs steps in the order of the calls', async () => {
    engine.setTensor('b', f32([1, 1], [0]));
    const graph = engine.loadGraph(add);
    const settled: number[] = [];
    await Promise.all(
      Array.from({ length: 20 }, async (_, i) => {
        const result = await engine.run(graph, { a: f32([1, 1], [i]) }, { logits: true });
        settled.push(result.logits?.data[0] as number);
        engine.setTensor('b', f32([1, 1], [1000]));
      }),
    );
    expect(settled.map((value) => value % 1000)).to.deep.equal(Array.from({ length: 20 }, (_, i) => i));
  });

  it('binds a graph to the tensors that exist, and to what replaces them', async () => {
    engine.setTensor('b', f32([1, 1], [1]));
    const graph = engine.loadGraph(add);
    const run = async () =>
      (await engine.run(graph, { a: f32([1, 1], [1]) }, { logits: true })).logits?.data[0];
    expect(await run()).to.equal(2);
    engine.setTensor('b', f32([1, 1], [10]));
    expect(await run()).to.equal(11);
  });

  it('counts runs and plans, and needs no new plan for a step of known size', async () => {
    engine.setTensor('b', f32([1, 64], new Float32Array(64)));
    const graph = engine.loadGraph(add);
    expect(engine.graphStats(graph)).to.include({ runs: 0, plans: 0 });
    const run = (rows: number) =>
      engine.run(graph, { a: f32([rows, 64], new Float32Array(rows * 64)) }, { logits: true });
    for (let i = 0; i < 5; i++) await run(8);
    await run(3);
    expect(engine.graphStats(graph)).to.include({ runs: 6, plans: 1, lastPlanReason: 'first run' });
    await run(9);
    expect(engine.graphStats(graph)).to.include({ runs: 7, plans: 2 });
    expect(engine.graphStats(graph).lastPlanReason).to.match(/^a grew from /);
    expect(engine.graphStats(graph).arenaBytes).to.be.at.least(9 * 64 * 4);
    expect(engine.memory().arenaBytes).to.equal(engine.graphStats(graph).arenaBytes);
  });

  it('loads weights from files, packed and plain, with progress', async () => {
    const matrix = Float32Array.from({ length: 40 * 64 }, (_, i) => ((i * 7) % 13) - 6);
    writeFileSync(folder.path('w'), Buffer.concat([Buffer.from([1, 2, 3]), Buffer.from(matrix.buffer)]));
    const part = (rows: number, first: number) => ({
      file: folder.path('w'),
      offset: 3 + first * 64 * 4,
      dtype: 'f32' as const,
      shape: [rows, 64],
    });
    const parts = [part(25, 0), part(15, 25)];
    const progress: number[][] = [];
    await engine.loadWeights(
      [
        { name: 'w', dtype: 'f32', shape: [40, 64], layout: 'linear', parts },
        { name: 'table', dtype: 'bf16', shape: [25, 64], layout: 'plain', parts: [part(25, 0)] },
      ],
      (loaded, total) => progress.push([loaded, total]),
    );
    expect(progress.at(-1)).to.deep.equal([65 * 64 * 4, 65 * 64 * 4]);
    expect(engine.memory().weightBytes).to.be.at.least(48 * 64 * 4 + 25 * 64 * 2);
    const linear = single('Linear', { hasBias: false, transposeB: true }, ['x', 'w'], ['y']);
    const x = Float32Array.from({ length: 64 }, (_, i) => i % 5);
    const { outputs } = await engine.forward(linear, { x: f32([1, 64], x) });
    const expected = Array.from({ length: 40 }, (_, row) =>
      x.reduce((sum, value, i) => sum + value * (matrix[row * 64 + i] as number), 0),
    );
    expect(numbers(outputs.y)).to.deep.equal(expected);
  });

  it('allocates caches under the names that are given, and replaces them', async () => {
    const options = { numBlocks: 3, blockSize: 32, dtype: 'bf16' } as const;
    const bytes = engine.allocateKvCache({ ...options, caches: sameCaches(2, 2, 16) });
    expect(bytes).to.be.at.least(2 * 2 * 3 * 32 * 2 * 16 * 2);
    expect(engine.memory().cacheBytes).to.equal(bytes);
    const k = 'layer_1_k_cache';
    const v = 'layer_1_v_cache';
    const write = single('ReshapeAndCache', {}, ['key', 'value', k, v, 'slots'], [k, v]);
    const bf16 = { dtype: 'bf16' as const, shape: [1, 2, 16], data: new Uint16Array(32) };
    const step = { key: bf16, value: bf16, slots: i32([5]) };
    const graph = engine.loadGraph(write);
    await engine.run(graph, step);
    engine.unloadGraph(graph);
    // What an earlier call gave is forgotten: no graph finds it any more.
    engine.allocateKvCache({ ...options, caches: sameCaches(1, 2, 16) });
    const later = engine.loadGraph(write);
    await expectNative('NATIVE_INPUT_INVALID', /layer_1_k_cache/, () => engine.run(later, step));
  });

  it('gives each cache its own size, and no values to one whose keys hold them', async () => {
    const caches = [
      { key: 'wide_k', value: 'wide_v', heads: 2, keySize: 192, valueSize: 128 },
      { key: 'narrow_k', value: 'narrow_v', heads: 1, keySize: 8, valueSize: 8 },
      { key: 'latent', heads: 1, keySize: 576, valueSize: 512 },
    ];
    const bytes = engine.allocateKvCache({ numBlocks: 2, blockSize: 32, dtype: 'f32', caches });
    expect(bytes).to.equal(2 * 32 * 4 * (2 * (192 + 128) + 8 + 8 + 576));
    const write = (k: string, v: string) =>
      engine.loadGraph(single('ReshapeAndCache', {}, ['key', 'value', k, v, 'slots'], [k, v]));
    const zeros = (heads: number, size: number) => f32([1, heads, size], new Float32Array(heads * size));
    const slots = i32([33]);
    await engine.run(write('wide_k', 'wide_v'), { key: zeros(2, 192), value: zeros(2, 128), slots });
    await engine.run(write('narrow_k', 'narrow_v'), { key: zeros(1, 8), value: zeros(1, 8), slots });
    // Keys of one cache beside values of another one: only sizes count.
    await engine.run(write('latent', 'narrow_v'), { key: zeros(1, 576), value: zeros(1, 8), slots });
    await expectNative('NATIVE_SHAPE_MISMATCH', /wide_v/, () =>
      engine.run(write('wide_k', 'wide_v'), { key: zeros(2, 192), value: zeros(2, 192), slots }),
    );
    await expectNative('NATIVE_LAYOUT_MISMATCH', /key cache/, () => engine.exportTensor('latent'));
  });

  it('lets layers share a cache', async () => {
    const caches = [{ key: 'k', value: 'v', heads: 1, keySize: 8, valueSize: 8 }];
    engine.allocateKvCache({ numBlocks: 2, blockSize: 32, dtype: 'f32', caches });
    const attention = { headNum: 1, kvHeadNum: 1, qkScale: 1 };
    const read = (i: number) => ({
      name: `layer_${i}`,
      op: { type: 'PagedAttention', param: attention },
      inputs: [`query_${i}`, 'k', 'v', 'tables', 'contexts'],
      outputs: [`out_${i}`],
    });
    const inputs = ['key', 'value', 'slots', 'query_0', 'query_1', 'k', 'v', 'tables', 'contexts'];
    const spec = {
      ...{ name: 'two_layers', inputs, outputs: ['out_0', 'out_1'], views: {} },
      nodes: [
        {
          name: 'write',
          op: { type: 'ReshapeAndCache', param: {} },
          inputs: ['key', 'value', 'k', 'v', 'slots'],
          outputs: ['k', 'v'],
        },
        read(0),
        read(1),
      ],
    } as GraphSpec;
    const row = f32([1, 1, 8], [1, 2, 3, 4, 5, 6, 7, 8]);
    const tables = { dtype: 'i32', shape: [1, 1], data: Int32Array.of(1) } as const;
    const { outputs } = await engine.forward(spec, {
      ...{ key: row, value: row, query_0: row, query_1: row, tables },
      ...{ slots: i32([32]), contexts: i32([1]) },
    });
    expect(outputs).to.deep.equal({ out_0: row, out_1: row });
  });

  it('allocates nothing for a model without caches', () => {
    expect(engine.allocateKvCache({ numBlocks: 1, blockSize: 32, dtype: 'f32', caches: [] })).to.equal(0);
    expect(engine.memory().cacheBytes).to.equal(0);
  });
});
