import { truncateSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import type { Tensor } from '../../src/dtype.js';
import type { GraphSpec } from '../../src/graph/graph-spec.js';
import {
  createEngine,
  type KvCacheOptions,
  type NativeEngine,
  type SamplerOptions,
  type WeightLoad,
} from '../../src/native/index.js';
import {
  add,
  expectCode,
  expectNative,
  f32,
  greedy,
  i32,
  sameCaches,
  single,
  temporaryFolder,
} from './graphs.js';

/** A value that the types forbid: what a caller in plain JavaScript may pass. */
const wrong = <T>(value: unknown): T => value as T;

describe('the native engine refuses', () => {
  const folder = temporaryFolder();
  let engine: NativeEngine;
  const b = f32([1, 2], [1, 1]);
  before(() => {
    engine = createEngine({ threads: 2 });
  });
  after(() => engine.dispose());
  afterEach('and goes on working', async () => {
    const { outputs } = await engine.forward(add, { a: f32([1, 2], [1, 2]), b });
    expect(outputs.sum).to.deep.equal(f32([1, 2], [2, 3]));
  });

  it('options that it cannot keep', async () => {
    const make = (options: unknown) => () => createEngine(wrong(options));
    await expectNative('NATIVE_ISA_UNSUPPORTED', /sse9.*reference/s, make({ threads: 1, isa: 'sse9' }));
    for (const threads of [0, -1, 1.5, Number.NaN, 1e9, '2', undefined, null, 2n])
      await expectNative('NATIVE_ARGUMENT_INVALID', /options\.threads must be an integer/, make({ threads }));
    await expectNative('NATIVE_ARGUMENT_INVALID', /options\.isa/, make({ threads: 1, isa: 7 }));
  });

  it('tensors whose parts do not fit', async () => {
    const forward = (a: unknown) => () => engine.forward(add, wrong({ a, b }));
    const data = new Float32Array(2);
    const shape = [1, 2];
    await expectNative('NATIVE_ARGUMENT_INVALID', /inputs\.a must be an object, found null/, forward(null));
    await expectNative('NATIVE_ARGUMENT_INVALID', /inputs\.a must be an object/, forward(data.buffer.slice));
    await expectNative('NATIVE_ARGUMENT_INVALID', /dtype.*f64/, forward({ dtype: 'f64', shape, data }));
    await expectNative('NATIVE_ARGUMENT_INVALID', /dtype.*nothing/, forward({ shape, data }));
    for (const [dtype, array] of [
      ['f32', new Float64Array(2)],
      ['f32', new Int32Array(2)],
      ['f32', new DataView(new ArrayBuffer(8))],
      ['f32', [1, 2]],
      ['f32', undefined],
      ['bf16', new Int16Array(2)],
      ['i64', new BigUint64Array(2)],
      ['u8', new Int8Array(2)],
    ] as const)
      await expectNative(
        'NATIVE_DTYPE_MISMATCH',
        /inputs\.a\.data must be a \w+Array/,
        forward({ dtype, shape, data: array }),
      );
    for (const size of [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, '2', null])
      await expectNative(
        'NATIVE_ARGUMENT_INVALID',
        /inputs\.a\.shape\[1\]/,
        forward({ dtype: 'f32', shape: [1, size], data }),
      );
    await expectNative(
      'NATIVE_ARGUMENT_INVALID',
      /shape.*at most 8/,
      forward({ dtype: 'f32', shape: new Array(9).fill(1), data }),
    );
    await expectNative(
      'NATIVE_SHAPE_MISMATCH',
      /must have 6 elements for f32\[2,3\], found 2/,
      forward(f32([2, 3], [1, 2])),
    );
    await expectNative(
      'NATIVE_SIZE_OVERFLOW',
      /overflow/,
      forward({ dtype: 'f32', shape: [2 ** 40, 2 ** 40], data }),
    );
    await expectNative('NATIVE_INPUT_INVALID', /input "b" is missing/, () =>
      engine.forward(add, { a: f32([1, 2], [1, 2]) }),
    );
    await expectNative('NATIVE_INPUT_INVALID', /no input "c"/, () => engine.forward(add, { a: b, b, c: b }));
  });

  it('typed arrays that are gone or change while they are read', async () => {
    const gone = new Float32Array(2);
    structuredClone(gone.buffer, { transfer: [gone.buffer] });
    await expectNative('NATIVE_SHAPE_MISMATCH', /found 0/, () =>
      engine.forward(add, { a: { dtype: 'f32', shape: [1, 2], data: gone }, b }),
    );
    // The second input's getter takes away the first one's memory.
    const victim = f32([1, 2], [1, 2]);
    const inputs = {
      a: victim,
      get b() {
        structuredClone(victim.data.buffer, { transfer: [victim.data.buffer as ArrayBuffer] });
        return b;
      },
    };
    await expectNative('NATIVE_SHAPE_MISMATCH', /inputs\.a\.data changed/, () => engine.forward(add, inputs));
  });

  it('what getters and proxies throw, as it is', async () => {
    const thrown = new TypeError('mine');
    const inputs = {
      get a(): Tensor {
        throw thrown;
      },
    };
    const found = await engine.forward(add, inputs).catch((error: unknown) => error);
    expect(found).to.equal(thrown);
  });

  it('graphs that are not graphs', async () => {
    const load = (spec: unknown) => () => engine.loadGraph(wrong(spec));
    const [node] = add.nodes;
    await expectNative('NATIVE_ARGUMENT_INVALID', /spec must be an object, found nothing/, load(undefined));
    await expectNative(
      'NATIVE_ARGUMENT_INVALID',
      /spec\.inputs must be an array/,
      load({ ...add, inputs: 'a' }),
    );
    await expectNative('NATIVE_ARGUMENT_INVALID', /spec\.inputs\[1\]/, load({ ...add, inputs: ['a', 5] }));
    await expectNative('NATIVE_ARGUMENT_INVALID', /spec\.views/, load({ ...add, views: null }));
    await expectNative(
      'NATIVE_ARGUMENT_INVALID',
      /spec\.views\.v\.shape\[0\]/,
      load({ ...add, views: { v: { source: 'a', shape: [-1] } } }),
    );
    await expectNative(
      'NATIVE_ARGUMENT_INVALID',
      /spec\.nodes\[0\]\.op\.param\.elewiseType/,
      load({ ...add, nodes: [{ ...node, op: { type: 'Elewise', param: { elewiseType: () => 1 } } }] }),
    );
    await expectNative(
      'NATIVE_ARGUMENT_INVALID',
      /at most 1024 bytes/,
      load({ ...add, name: 'x'.repeat(2000) }),
    );
    await expectNative('NATIVE_OP_UNKNOWN', /Telepathy/, load(single('Telepathy', {}, ['a'], ['b'])));
    await expectNative(
      'NATIVE_PARAM_INVALID',
      /sharpness/,
      load(single('Elewise', { elewiseType: 'ELEWISE_ADD', sharpness: 1 }, ['a', 'b'], ['c'])),
    );
    await expectNative(
      'NATIVE_GRAPH_INVALID',
      /reads "z"/,
      load({ ...add, nodes: [{ ...node, inputs: ['a', 'z'] }] }),
    );
  });

  it('graphs nested without end, or unfolding to too many nodes', async () => {
    const cycle = { ...add, nodes: [] as unknown[] };
    cycle.nodes.push({ name: 'self', op: { graph: cycle }, inputs: ['a', 'b'], outputs: ['sum'] });
    await expectNative('NATIVE_ARGUMENT_INVALID', /nested at most 16/, () => engine.loadGraph(wrong(cycle)));
    // Each level places the level below 64 times: 64^5 additions from 300 objects.
    let graph: GraphSpec = {
      ...single('Elewise', { elewiseType: 'ELEWISE_ADD' }, ['a', 'a'], ['sum']),
      inputs: ['a'],
    };
    for (let level = 0; level < 5; level++) {
      const inner = graph;
      const nodes = Array.from({ length: 64 }, (_, i) => ({
        name: `n${i}`,
        op: { graph: inner },
        inputs: [i === 0 ? 'a' : `t${i - 1}`],
        outputs: [i === 63 ? 'sum' : `t${i}`],
      }));
      graph = { ...inner, nodes };
    }
    await expectNative('NATIVE_GRAPH_INVALID', /more than \d+ nodes/, () => engine.loadGraph(graph));
    const deep: Record<string, unknown> = {};
    deep.deep = deep;
    await expectNative('NATIVE_ARGUMENT_INVALID', /nested at most 8/, () =>
      engine.loadGraph(single('Elewise', deep, ['a', 'b'], ['c'])),
    );
  });

  it('shapes that an operation cannot take, when it runs', async () => {
    await expectNative('NATIVE_INPUT_INVALID', /f32\[1,2\]/, () =>
      engine.forward(add, { a: f32([1, 3], [1, 2, 3]), b }),
    );
    const gather = single('Gather', { axis: 0 }, ['table', 'ids'], ['rows']);
    await expectNative('NATIVE_VALUE_OUT_OF_RANGE', /Gather/, () =>
      engine.forward(gather, { table: f32([2, 2], [1, 2, 3, 4]), ids: i32([2]) }),
    );
  });

  it('ids that it never gave', async () => {
    for (const id of [0, 99, -1, 1.5, Number.NaN, '1', undefined, 2 ** 40]) {
      const code = [0, 99].includes(id as number) ? 'NATIVE_GRAPH_UNKNOWN' : 'NATIVE_ARGUMENT_INVALID';
      await expectNative(code, /graph/, () => engine.run(wrong(id), {}));
      await expectNative(code, /graph/, () => engine.graphStats(wrong(id)));
      await expectNative(code, /graph/, () => engine.unloadGraph(wrong(id)));
      await expectNative(code, /graph/, () => engine.reserve(wrong(id), {}));
      const samplerCode = code.replace('GRAPH', 'SAMPLER');
      await expectNative(samplerCode, /sampler/, () => engine.freeSampler(wrong(id)));
      await expectNative(samplerCode, /sampler/, () => engine.appendTokens(wrong(id), new Int32Array(1)));
      await expectNative(samplerCode, /sampler/, () => engine.retractTokens(wrong(id), new Int32Array(1)));
    }
    const graph = engine.loadGraph(add);
    engine.unloadGraph(graph);
    await expectNative('NATIVE_GRAPH_UNKNOWN', /graph/, () => engine.run(graph, {}));
  });

  it('steps whose samplers do not fit', async () => {
    const graph = engine.loadGraph(add);
    const sampler = engine.createSampler(greedy);
    const biased = engine.createSampler({ ...greedy, logitBias: [[2, 1]] });
    const run = (options: unknown) => () => engine.run(graph, { a: b, b }, wrong(options));
    await expectNative('NATIVE_SAMPLER_UNKNOWN', /9999/, run({ samplers: Int32Array.of(9999) }));
    await expectNative('NATIVE_SAMPLER_UNKNOWN', /-2/, run({ samplers: Int32Array.of(-2) }));
    await expectNative('NATIVE_SHAPE_MISMATCH', /2 samplers/, run({ samplers: Int32Array.of(sampler, -1) }));
    await expectNative(
      'NATIVE_VALUE_OUT_OF_RANGE',
      /two rows/,
      run({ samplers: Int32Array.of(sampler, sampler) }),
    );
    await expectNative('NATIVE_OPTION_INVALID', /logitBias/, run({ samplers: Int32Array.of(biased) }));
    await expectNative('NATIVE_ARGUMENT_INVALID', /Int32Array/, run({ samplers: [sampler] }));
    await expectNative('NATIVE_ARGUMENT_INVALID', /logits must be true or false/, run({ logits: 1 }));
    await expectNative('NATIVE_ARGUMENT_INVALID', /options must be an object/, run(5));
  });

  it('sampler options out of range', async () => {
    const bad: ReadonlyArray<Partial<Record<keyof SamplerOptions, unknown>>> = [
      { temperature: -1 },
      { temperature: Number.NaN },
      { temperature: '1' },
      { topK: -1 },
      { topK: 1.5 },
      { topK: 2 ** 40 },
      { topP: 1.01 },
      { minP: -0.1 },
      { repetitionPenalty: 0 },
      { frequencyPenalty: Number.POSITIVE_INFINITY },
      { presencePenalty: undefined },
      { seed: 2 ** 53 },
      { seed: -1 },
      { seed: 0.5 },
      { topLogprobs: -2 },
      { promptTokens: [1, 2] },
      { promptTokens: Int32Array.of(-1) },
      { logitBias: [[1]] },
      { logitBias: [[-1, 1]] },
      { logitBias: [[2 ** 31, 1]] },
      { logitBias: [[1, Number.NaN]] },
      { logitBias: [[1, 2, 3]] },
      { logitBias: { 1: 2 } },
    ];
    for (const options of bad) {
      const [name] = Object.keys(options);
      await expectNative(/^NATIVE_(ARGUMENT|OPTION)_INVALID$/, new RegExp(name as string), () =>
        engine.createSampler(wrong({ ...greedy, ...options })),
      );
    }
  });

  it('caches of impossible sizes', async () => {
    const options: KvCacheOptions = {
      numBlocks: 1,
      blockSize: 32,
      dtype: 'f32',
      caches: sameCaches(1, 1, 8),
    };
    const allocate = (change: object) => () => engine.allocateKvCache({ ...options, ...change });
    const [cache] = options.caches;
    const one = (change: object) => allocate({ caches: [{ ...cache, ...change }] });
    await expectNative('NATIVE_PARAM_INVALID', /blockSize/, allocate({ blockSize: 48 }));
    await expectNative('NATIVE_PARAM_INVALID', /dtype/, allocate({ dtype: 'i32' }));
    await expectNative('NATIVE_ARGUMENT_INVALID', /numBlocks/, allocate({ numBlocks: 0 }));
    await expectNative('NATIVE_ARGUMENT_INVALID', /caches\[0\]\.keySize/, one({ keySize: 8.5 }));
    await expectNative('NATIVE_ARGUMENT_INVALID', /caches\[0\]\.heads/, one({ heads: 0 }));
    await expectNative('NATIVE_ARGUMENT_INVALID', /caches\[0\]\.key /, one({ key: undefined }));
    await expectNative('NATIVE_ARGUMENT_INVALID', /caches must be/, allocate({ caches: undefined }));
    await expectNative('NATIVE_PARAM_INVALID', /keySize of "layer_0_k_cache".*576/, one({ keySize: 584 }));
    await expectNative('NATIVE_PARAM_INVALID', /valueSize of "layer_0_k_cache"/, one({ valueSize: 12 }));
    const part = { value: undefined, valueSize: 16 };
    await expectNative('NATIVE_PARAM_INVALID', /valueSize of "layer_0_k_cache" .* to 8/, one(part));
    await expectNative('NATIVE_OUT_OF_MEMORY', /bytes are needed/, allocate({ numBlocks: 2 ** 29 }));
    await expectNative(
      'NATIVE_SIZE_OVERFLOW',
      /overflow/,
      allocate({ numBlocks: 2 ** 29, caches: sameCaches(1, 2 ** 30, 512) }),
    );
    expect(engine.memory().cacheBytes).to.equal(0);
  });

  it('room for steps that cannot be', async () => {
    const graph = engine.loadGraph(add);
    const [a, b] = [
      { dtype: 'f32', shape: [2, 3] },
      { dtype: 'f32', shape: [2, 3] },
    ] as const;
    await engine.reserve(graph, { a, b });
    await expectNative('NATIVE_INPUT_INVALID', /"b" is missing/, () => engine.reserve(graph, { a }));
    await expectNative('NATIVE_INPUT_INVALID', /no input "c"/, () => engine.reserve(graph, { a, b, c: a }));
    const wide = { ...a, shape: [5, 7] };
    await expectNative('NATIVE_INPUT_INVALID', /does not fit/, () => engine.reserve(graph, { a, b: wide }));
    const huge = { ...a, shape: [2 ** 30, 2 ** 30] };
    await expectNative('NATIVE_SIZE_OVERFLOW', /./, () => engine.reserve(graph, { a: huge, b: huge }));
    await expectNative('NATIVE_ARGUMENT_INVALID', /inputs\.a/, () =>
      engine.reserve(graph, wrong({ a: 5, b })),
    );
  });

  it('copies of blocks that there are not', async () => {
    const mortal = createEngine({ threads: 1 });
    const copy = (...pairs: number[]) => mortal.copyBlocks(Int32Array.from(pairs));
    await expectNative('NATIVE_VALUE_OUT_OF_RANGE', /block 0/, () => copy(0, 0));
    mortal.allocateKvCache({ numBlocks: 3, blockSize: 32, dtype: 'f32', caches: sameCaches(1, 1, 8) });
    await copy();
    await copy(0, 2, 2, 1);
    for (const wrongPairs of [
      [0, 3],
      [-1, 0],
      [0, 1, 2],
    ])
      await expectNative('NATIVE_VALUE_OUT_OF_RANGE', /pairs of 3 blocks/, () => copy(...wrongPairs));
    await expectNative('NATIVE_ARGUMENT_INVALID', /pairs/, () => mortal.copyBlocks(wrong([0, 1])));
    mortal.dispose();
  });

  it('caches with one name for two tensors, or without a name', async () => {
    const cache = { heads: 1, keySize: 8, valueSize: 8 };
    const allocate = (...caches: object[]) => {
      const options = { numBlocks: 1, blockSize: 32, dtype: 'f32', caches };
      return () => engine.allocateKvCache(wrong<KvCacheOptions>(options));
    };
    await expectNative('NATIVE_PARAM_INVALID', /"k"/, allocate({ ...cache, key: 'k', value: 'k' }));
    const twice = [
      { ...cache, key: 'a', value: 'v' },
      { ...cache, key: 'b', value: 'v' },
    ];
    await expectNative('NATIVE_PARAM_INVALID', /"v"/, allocate(...twice));
    await expectNative('NATIVE_PARAM_INVALID', /name/, allocate({ ...cache, key: '' }));
    expect(engine.memory().cacheBytes).to.equal(0);
  });

  it('weights that their files do not hold', async () => {
    writeFileSync(folder.path('w'), Buffer.alloc(64));
    const load = (change: object, part: object = {}) => {
      const whole = { file: folder.path('w'), offset: 0, dtype: 'f32', shape: [4, 4], ...part };
      const weight = { name: 'w', dtype: 'f32', shape: [4, 4], layout: 'plain', parts: [whole], ...change };
      return () => engine.loadWeights([wrong<WeightLoad>(weight)]);
    };
    await load({})();
    await expectNative('NATIVE_FILE_TRUNCATED', /ends at byte 65/, load({}, { offset: 1 }));
    await expectNative('NATIVE_FILE_ERROR', /No such file/, load({}, { file: folder.path('absent') }));
    await expectNative('NATIVE_FILE_ERROR', /not a regular file/, load({}, { file: folder.path('.') }));
    await expectNative('NATIVE_ARGUMENT_INVALID', /file.*NUL/, load({}, { file: 'a\0b' }));
    await expectNative('NATIVE_ARGUMENT_INVALID', /offset/, load({}, { offset: -1 }));
    await expectNative('NATIVE_ARGUMENT_INVALID', /layout/, load({ layout: 'diagonal' }));
    await expectNative('NATIVE_SHAPE_MISMATCH', /w/, load({ shape: [4, 5] }));
    await expectNative('NATIVE_DTYPE_MISMATCH', /w/, load({ dtype: 'i32' }));
    // Changes of a part.
    const order = Int32Array.of(3, 2, 1, 0);
    await load({}, { rowOrder: order, transposed: true, times: 2, plus: -1 })();
    for (const rowOrder of [[3, 2, 1, 0], 'reversed', new Float32Array(4), new Int16Array(4), null])
      await expectNative('NATIVE_ARGUMENT_INVALID', /parts\[0\]\.rowOrder/, load({}, { rowOrder }));
    for (const rowOrder of [Int32Array.of(0, 1, 2, 4), Int32Array.of(0, 1, 2, -(2 ** 31))])
      await expectNative('NATIVE_ARGUMENT_INVALID', /rowOrder\[3\] is/, load({}, { rowOrder }));
    await expectNative('NATIVE_SHAPE_MISMATCH', /"w"/, load({}, { rowOrder: order.subarray(1) }));
    for (const transposed of [1, 'yes', null])
      await expectNative('NATIVE_ARGUMENT_INVALID', /parts\[0\]\.transposed/, load({}, { transposed }));
    await expectNative('NATIVE_SHAPE_MISMATCH', /matrix/, load({}, { shape: [16], transposed: true }));
    for (const times of ['2', null, 2n])
      await expectNative('NATIVE_ARGUMENT_INVALID', /parts\[0\]\.times/, load({}, { times }));
    for (const change of [{ times: Infinity }, { plus: Number.NaN }])
      await expectNative('NATIVE_ARGUMENT_INVALID', /finite|a number/, load({}, change));
    const constant = { dtype: 'f32', shape: [4, 4], value: 0.5 };
    await load({ parts: [constant] })();
    await expectNative('NATIVE_ARGUMENT_INVALID', /value/, load({ parts: [{ ...constant, value: '1' }] }));
    await expectNative('NATIVE_SHAPE_MISMATCH', /"w"/, load({ parts: [{ ...constant, shape: [4] }] }));
    await expectNative('NATIVE_ARGUMENT_INVALID', /weights\[0\]/, () => engine.loadWeights(wrong([7])));
    await expectNative('NATIVE_ARGUMENT_INVALID', /onProgress/, () => engine.loadWeights([], wrong(5)));
  });

  it('shapes that claim more than a machine has, with a second of computing at most', async () => {
    const file = folder.path('sparse');
    writeFileSync(file, '');
    truncateSync(file, 2 ** 42);
    const started = process.cpuUsage();
    for (const layout of ['plain', 'linear'] as const) {
      const shape = [2 ** 20, 2 ** 20];
      await expectNative('NATIVE_OUT_OF_MEMORY', /this machine has/, () =>
        engine.loadWeights([
          { name: 'w', dtype: 'f32', shape, layout, parts: [{ file, offset: 0, dtype: 'f32', shape }] },
        ]),
      );
    }
    const { user, system } = process.cpuUsage(started);
    expect(user + system, 'µs').to.be.below(1e6);
  });

  it('to go on loading from a file that shrinks, or when the progress callback throws', async () => {
    const file = folder.path('large');
    const size = 256 << 20; // A hole on the disk; it takes long enough to read.
    writeFileSync(file, '');
    truncateSync(file, size);
    const part = { file, offset: 0, dtype: 'u8', shape: [size] } as const;
    const loads = [
      { name: 'large', dtype: 'u8', shape: part.shape, layout: 'plain', parts: [part] },
    ] as const;
    const before = engine.memory().weightBytes;
    const thrown = new Error('enough');
    const found = await engine
      .loadWeights(loads, () => {
        throw thrown;
      })
      .catch((error: unknown) => error);
    expect(found).to.equal(thrown);
    // The callback may come when all has been read; a load that is ended leaves nothing.
    const left = engine.memory().weightBytes;
    expect(left - before).to.be.oneOf([0, size]);
    const ended = engine.loadWeights(loads);
    truncateSync(file, 1000);
    await expectNative('NATIVE_FILE_TRUNCATED', /ends at byte/, () => ended);
    expect(engine.memory().weightBytes).to.equal(left);
  });

  it('a call whose arguments dispose the engine while they are read', async () => {
    const b = f32([1, 1], [1]);
    const calls: Record<string, (engine: NativeEngine, graph: number, poison: object) => unknown> = {
      loadWeights: (engine, _, poison) => engine.loadWeights(wrong([poison])),
      setTensor: (engine, _, poison) => engine.setTensor('b', wrong(poison)),
      allocateKvCache: (engine, _, poison) => engine.allocateKvCache(wrong(poison)),
      loadGraph: (engine, _, poison) => engine.loadGraph(wrong(poison)),
      createSampler: (engine, _, poison) => engine.createSampler(wrong(poison)),
      run: (engine, graph, poison) => engine.run(graph, wrong(poison)),
      forward: (engine, _, poison) => engine.forward(add, wrong(poison)),
    };
    const valid: Record<string, object> = {
      loadWeights: { name: 'w', dtype: 'f32', shape: [1], layout: 'plain', parts: [] },
      setTensor: b,
      allocateKvCache: { numBlocks: 1, blockSize: 32, dtype: 'f32', caches: [] },
      loadGraph: add,
      createSampler: greedy,
      run: { a: b, b },
      forward: { a: b, b },
    };
    for (const [name, call] of Object.entries(calls)) {
      const mortal = createEngine({ threads: 1 });
      const graph = mortal.loadGraph(add);
      const poison: object = {};
      for (const [key, value] of Object.entries(valid[name] ?? {})) {
        const get = (): unknown => {
          mortal.dispose();
          return value;
        };
        Object.defineProperty(poison, key, { get, enumerable: true });
      }
      await expectCode('ENGINE_DISPOSED', () => call(mortal, graph, poison));
    }
  });

  it('everything after dispose, which may be called twice', async () => {
    const disposed = createEngine({ threads: 1 });
    const graph = disposed.loadGraph(add);
    const sampler = disposed.createSampler(greedy);
    const running = disposed.run(graph, { a: b, b }, { samplers: Int32Array.of(sampler) });
    disposed.dispose();
    disposed.dispose();
    expect([...(await running).tokens]).to.deep.equal([0]);
    await expectCode('ENGINE_DISPOSED', () => disposed.run(graph, { a: b, b }));
    await expectCode('ENGINE_DISPOSED', () => disposed.forward(add, { a: b, b }));
    await expectCode('ENGINE_DISPOSED', () => disposed.loadWeights([]));
    await expectCode('ENGINE_DISPOSED', () => disposed.loadGraph(add));
    await expectCode('ENGINE_DISPOSED', () => disposed.unloadGraph(graph));
    await expectCode('ENGINE_DISPOSED', () => disposed.graphStats(graph));
    await expectCode('ENGINE_DISPOSED', () => disposed.setTensor('b', b));
    await expectCode('ENGINE_DISPOSED', () => disposed.createSampler(greedy));
    await expectCode('ENGINE_DISPOSED', () => disposed.freeSampler(sampler));
    await expectCode('ENGINE_DISPOSED', () => disposed.appendTokens(sampler, new Int32Array(0)));
    await expectCode('ENGINE_DISPOSED', () => disposed.retractTokens(sampler, new Int32Array(0)));
    await expectCode('ENGINE_DISPOSED', () => disposed.copyBlocks(new Int32Array(0)));
    await expectCode('ENGINE_DISPOSED', () => disposed.reserve(graph, {}));
    await expectCode('ENGINE_DISPOSED', () => disposed.memory());
    await expectCode('ENGINE_DISPOSED', () => disposed.allocateKvCache(wrong({})));
    disposed.dispose();
  });
});
