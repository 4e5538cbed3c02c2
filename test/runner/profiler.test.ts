import { expect } from 'chai';
import { DECODE, type GraphKind, PREFILL } from '../../src/graph/graph-kind.js';
import { applyPasses } from '../../src/graph/passes/index.js';
import { placedOperations } from '../../src/graph/placed-operations.js';
import { type CausalLM, getRouter } from '../../src/router/index.js';
import { matrixSizes, Profiler } from '../../src/runner/profiler.js';
import { declaredWeights } from '../../src/weights/weights.js';
import { type Family, familyModel } from '../models/family-models.js';
import { familyConfig } from '../oracle/families.js';

const SIZES = { config: { numAttentionHeads: 4, headDim: 8 }, kvBytes: 64 };

/** The row of the operations of one name, after one step in which each of them took a millisecond. */
async function rowOf(
  family: Family | CausalLM,
  kind: GraphKind,
  passes: 'all' | 'none',
  name: string,
  lens: { readonly query: number[]; readonly seen: number[] },
) {
  const model = typeof family === 'string' ? await familyModel(family) : family;
  const spec = applyPasses(model.buildGraph(kind), passes);
  const profiler = new Profiler(new Map([[kind, spec]]), matrixSizes(model.getWeights(), 'bf16'), SIZES);
  const timings = placedOperations(spec).map(({ path, node: { op } }) => ({
    name: path,
    type: 'type' in op ? op.type : '',
    startMs: 0,
    durationMs: 1,
  }));
  profiler.add(kind, Int32Array.from(lens.query), Int32Array.from(lens.seen), timings);
  const row = profiler.rows().find((candidate) => candidate.name === name);
  if (!row) throw new Error(`no row ${name}`);
  // Operations of a millisecond each: what a second would do, over a thousand.
  return {
    operations: ((row.flops ?? 0) * row.calls) / 1000,
    bytes: ((row.bytesPerSecond ?? 0) * row.calls) / 1000,
  };
}

describe('a profile', () => {
  const prompts = { query: [5, 3], seen: [5, 3] };

  it('counts a row for each token in layers, and one for each sequence at the head', async () => {
    const model = await familyModel('llama');
    const elements = (name: string): number => {
      const { shape } = model.getWeights().find((weight) => weight.name === name) ?? { shape: [] };
      return shape.reduce((count, size) => count * size, 1);
    };
    const layers = model.getWeights().filter(({ name }) => name.endsWith('.down_proj.weight')).length;
    for (const passes of ['all', 'none'] as const) {
      const down = await rowOf('llama', PREFILL, passes, 'down', prompts);
      expect(down.operations).to.equal(
        2 * elements('model.layers.0.mlp.down_proj.weight') * layers * (5 + 3),
      );
      const head = await rowOf('llama', PREFILL, passes, 'lm_head', prompts);
      expect(head.operations).to.equal(2 * elements('lm_head.weight') * 2);
    }
  });

  it('counts the keys that a sliding window leaves, with and without passes', async () => {
    const context = { query: [1], seen: [1000] };
    const kv = (seen: number) => seen * SIZES.kvBytes;
    const model = await familyModel('mistral');
    const layers = placedOperations(model.buildGraph(DECODE)).filter(
      ({ node: { op } }) => 'type' in op && op.type === 'PagedAttention',
    );
    const window = layers[0]?.node.hint?.windowSize ?? 0;
    expect(window).to.be.within(1, 999);
    for (const passes of ['all', 'none'] as const) {
      const { bytes } = await rowOf('mistral', DECODE, passes, 'attention', context);
      expect(bytes).to.equal(kv(window) * layers.length);
    }
    // Of three layers whose chunks have 24 positions, and one that sees all.
    const config = familyConfig('llama4_text');
    const llama4 = new (getRouter(config.model_type))('', config).createModel(declaredWeights('bf16'));
    const chunked = await rowOf(llama4, DECODE, 'all', 'attention', { query: [1], seen: [49] });
    expect(chunked.bytes).to.equal(kv(3 * 1 + 49));
    const { bytes } = await rowOf('llama', DECODE, 'all', 'attention', context);
    const { numHiddenLayers } = (await familyModel('llama')).config;
    expect(bytes).to.equal(kv(1000) * numHiddenLayers);
  });
});
