import { expect } from 'chai';
import { LLM } from '../../src/engine/llm.js';
import {
  AtbGraph,
  BaseOperation,
  estimateMemory,
  ModelRunner,
  type OpenModelOptions,
} from '../../src/index.js';
import { createEngine, planGraph } from '../../src/native/index.js';
import { QUANTIZE_MODES } from '../../src/weights/quantization.js';
import { familyCases, familyCheckpoint } from '../oracle/families.js';
import { failure } from '../weights/safetensors-writer.js';
import { loadApart, writeExperts } from './large-experts.js';

const MODEL = 'examples/models/tiny-stories';

describe('estimateMemory', function () {
  this.timeout(120_000);

  const WAYS: readonly Omit<OpenModelOptions, 'modelPath'>[] = [
    {},
    { dtype: 'f32' },
    { quantize: 'w8a16' },
    { quantize: 'w4a16', quantizeHead: 'w4a8_dynamic' },
    { quantize: 'w8a8_dynamic', kvQuant: 'int8' },
  ];
  for (const modelPath of [MODEL, 'test/fixtures/oracle/llama'])
    for (const way of WAYS)
      it(`knows what weights and cache take: ${modelPath} ${JSON.stringify(way)}`, async function () {
        // Its matrices are too narrow for groups of 64.
        if (modelPath !== MODEL && way.quantize === 'w4a16') this.skip();
        const options = { modelPath, loadTokenizer: false, threads: 2, ...way };
        const found = await estimateMemory({ ...options, context: 200, batch: 4 });
        const runner = await ModelRunner.load({ ...options, numBlocks: 4 * 2 });
        const { weightBytes, cacheBytes } = runner.memory();
        runner.dispose();
        // A cache line for the zero that all offsets share.
        expect(found.weightBytes + found.positionBytes).to.equal(weightBytes - 64);
        expect(found.cacheBytes).to.equal(cacheBytes);
      });

  it('knows them of every family', async () => {
    for (const name of familyCases) {
      const { path: modelPath, remove } = familyCheckpoint(name);
      try {
        const options = { modelPath, loadTokenizer: false, threads: 2, dtype: 'bf16' } as const;
        const found = await estimateMemory({ ...options, context: 40, batch: 2 });
        const runner = await ModelRunner.load({ ...options, numBlocks: 2 });
        const { weightBytes, cacheBytes } = runner.memory();
        runner.dispose();
        // Tensors are rounded up to cache lines.
        expect(weightBytes - found.weightBytes - found.positionBytes, name).to.be.within(0, 64 * 64);
        expect(found.cacheBytes, name).to.equal(cacheBytes);
        expect(found.activationBytes, name).to.be.above(0);
      } finally {
        remove();
      }
    }
  });

  const heldBy = (runner: ModelRunner): number => {
    const { weightBytes, cacheBytes, arenaBytes } = runner.memory();
    return weightBytes + cacheBytes + arenaBytes;
  };

  for (const { context, batch, promptLen, draft } of [
    { context: 512, batch: 8, promptLen: 256, draft: false },
    { context: 256, batch: 20, promptLen: 90, draft: false },
    { context: 512, batch: 1, promptLen: 300, draft: true },
    { context: 300, batch: 4, promptLen: 250, draft: true },
  ])
    it(`is what is held when ${batch} answers of ${context} tokens have run${draft ? ', with a draft model' : ''}`, async () => {
      const rssBefore = process.memoryUsage().rss;
      const options = { threads: 2, blockSize: 32, ...(draft && { draftModelPath: `${MODEL}-draft` }) };
      const found = await estimateMemory({ ...options, modelPath: MODEL, context, batch });
      await using llm = await LLM.load(MODEL, { ...options, maxNumSeqs: batch, maxModelLen: context });
      const prompts = Array.from({ length: batch }, (_, i) =>
        Array.from({ length: promptLen }, (_, j) => 300 + i + j),
      );
      await llm.generate(prompts, { maxTokens: context - promptLen, ignoreEos: true });
      // But for a cache line of each engine, for the zero that all offsets share.
      const held = [llm.runner, ...(llm.draft ? [llm.draft.runner] : [])].map(
        (runner) => heldBy(runner) - 64,
      );
      expect(found.totalBytes).to.equal(held.reduce((sum, bytes) => sum + bytes, 0));
      expect(found.draftBytes).to.equal(held[1] ?? 0);
      // Beside it, what the process itself grows by.
      expect(process.memoryUsage().rss - rssBefore).to.be.below(found.totalBytes + 250 * 2 ** 20);
    });

  for (const quantize of [undefined, ...QUANTIZE_MODES])
    it(`is within 3 % of what experts take when they run, ${quantize ?? 'floats'}`, async () => {
      const model = writeExperts({ hidden: 256, width: 256, experts: 32, layers: 3 });
      try {
        const options = { threads: 2, loadTokenizer: false, ...(quantize && { quantize }) };
        const found = await estimateMemory({ ...options, modelPath: model.path, context: 512, batch: 8 });
        await using llm = await LLM.load(model.path, { ...options, maxNumSeqs: 8, maxModelLen: 512 });
        const prompts = Array.from({ length: 8 }, (_, i) => Array.from({ length: 200 }, (_, j) => i + j));
        await llm.generate(prompts, { maxTokens: 20, ignoreEos: true });
        expect(found.totalBytes / heldBy(llm.runner)).to.be.within(0.97, 1.03);
      } finally {
        model.remove();
      }
    });

  for (const [quantize, experts] of [
    [undefined, 32],
    ['w4a16', 96],
  ] as const)
    it(`is what loading experts takes at its peak, but for 15 %, ${quantize ?? 'floats'}`, function () {
      if (process.platform !== 'linux') this.skip();
      const model = writeExperts({ hidden: 512, width: 512, experts, layers: 3 });
      try {
        const { grownBytes, weightBytes } = loadApart(model.path, quantize);
        expect(grownBytes / weightBytes).to.be.within(0.9, 1.15);
      } finally {
        model.remove();
      }
    });

  it('finds the longest context and the largest batch that a budget holds', async () => {
    const options = { modelPath: MODEL, threads: 2, context: 256, batch: 8 };
    const { totalBytes } = await estimateMemory(options);
    const just = await estimateMemory({ ...options, budgetBytes: totalBytes });
    expect(just.largestBatch).to.equal(8);
    expect(just.longestContext).to.equal(256);
    const less = await estimateMemory({ ...options, budgetBytes: totalBytes - 1 });
    expect(less.largestBatch).to.equal(7);
    expect(less.longestContext).to.equal(128);
    const nothing = await estimateMemory({ ...options, budgetBytes: 1000 });
    expect([nothing.largestBatch, nothing.longestContext]).to.deep.equal([0, 0]);
  });

  it('refuses what no model has', async () => {
    for (const wrong of [{ context: 0 }, { context: 513 }, { batch: 1.5 }, { stepTokens: -1 }])
      await failure('REQUEST_INVALID', () => estimateMemory({ modelPath: MODEL, ...wrong }));
  });
});

describe('planGraph', () => {
  const graph = new AtbGraph('plan_graph');
  graph.addInputOutput({ input: ['a', 'b'], output: ['c'] });
  graph.addOperation(
    new BaseOperation('Elewise', { elewiseType: 'ELEWISE_ADD' }, 'add'),
    ['a', 'b'],
    ['sum'],
  );
  graph.addOperation(
    new BaseOperation('Elewise', { elewiseType: 'ELEWISE_MUL' }, 'mul'),
    ['sum', 'b'],
    ['c'],
  );
  const spec = graph.build();

  it('says what a run takes', async () => {
    const shape = [100, 70];
    const data = new Float32Array(7000);
    const engine = createEngine({ threads: 2 });
    const id = engine.loadGraph(spec);
    await engine.run(id, { a: { dtype: 'f32', shape, data }, b: { dtype: 'f32', shape, data } });
    const { arenaBytes } = engine.graphStats(id);
    engine.dispose();
    const desc = { dtype: 'f32', shape } as const;
    expect(planGraph(spec, { a: desc, b: desc }, { threads: 2 })).to.equal(arenaBytes);
    expect(arenaBytes).to.be.at.least(2 * 4 * 7000);
  });

  it('refuses what a run would refuse', () => {
    const desc = { dtype: 'f32', shape: [2, 3] } as const;
    const plan = (inputs: Parameters<typeof planGraph>[1]) => () => planGraph(spec, inputs, { threads: 1 });
    expect(plan({ a: desc })).to.throw(/inputs\.b/);
    expect(plan({ a: desc, b: { ...desc, shape: [5, 7] } })).to.throw(
      /NATIVE_INPUT_INVALID: input "b" does not fit/,
    );
    expect(plan({ a: desc, b: { ...desc, shape: [2 ** 30, 2 ** 30] } })).to.throw(/NATIVE_/);
    expect(plan({ a: desc, b: { ...desc, layout: 'round' as 'plain' } })).to.throw(
      /a layout \(plain, linear/,
    );
  });
});
