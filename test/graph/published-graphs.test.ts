import { expect } from 'chai';
import { flatten } from '../../src/graph/flatten.js';
import { DECODE, DECODER_KINDS, SPLITFUSE } from '../../src/graph/graph-kind.js';
import { legalityProblems } from '../../src/graph/legality.js';
import { nestedExport } from '../../src/graph/nested-graph.js';
import { specProblems } from '../../src/graph/nested-legality.js';
import { inputDescs } from '../../src/models/base/input-descs.js';
import { loadModels } from '../../src/models/get-model.js';
import type { CausalLM } from '../../src/router/index.js';
import { getRouter } from '../../src/router/index.js';
import { quantizationPlan } from '../../src/weights/quantization.js';
import { declaredWeights } from '../../src/weights/weights.js';
import { PUBLISHED } from '../models/published-configs.js';

const SUPPORTED = PUBLISHED.filter(({ means }) => means !== undefined);
const STEP = { batch: 4, tokens: 512, blockSize: 128 };

async function modelOf(dict: Readonly<Record<string, unknown>>, quantize?: 'w8a16'): Promise<CausalLM> {
  await loadModels();
  const Router = getRouter(String(dict.model_type));
  const plan = quantizationPlan(quantize === undefined ? {} : { quantize });
  return new Router('', dict).createModel(declaredWeights('bf16', plan));
}

describe('graphs of published configurations', function () {
  this.timeout(60_000);

  for (const { name, dict } of SUPPORTED) {
    it(`of ${name} are legal as nested graphs, as many as there are kinds of layers`, async () => {
      const model = await modelOf(dict);
      for (const kind of DECODER_KINDS) {
        const spec = model.buildGraph(kind);
        const inputs = inputDescs(model, kind, 'bf16', STEP);
        expect(specProblems(spec, inputs)).to.deep.equal([]);
        expect(nestedExport(spec, inputs).graphs).to.have.length.within(2, 3);
      }
    });
  }

  it('exceed what one flat graph holds, where layers are many', async () => {
    const flatProblems = async (name: string): Promise<string[]> => {
      const { dict } = SUPPORTED.find((config) => config.name === name) as (typeof SUPPORTED)[number];
      const model = await modelOf(dict);
      const { graph } = flatten(model.buildGraph(DECODE), inputDescs(model, DECODE, 'bf16', STEP));
      return legalityProblems(graph).map(({ text }) => text);
    };
    expect(await flatProblems('Meta-Llama-3-8B')).to.deep.equal([
      'has 266 inputs, at most 256 are possible',
      'has 484 inner tensors, at most 256 are possible',
    ]);
    expect(await flatProblems('Llama-3.2-1B-Instruct')).to.deep.equal([]);
  });

  it('take biases of integers in f32', async () => {
    const { dict } = SUPPORTED.find(({ name }) => /^Qwen2/.test(name)) as (typeof SUPPORTED)[number];
    const model = await modelOf(dict, 'w8a16');
    const spec = model.buildGraph(SPLITFUSE);
    const inputs = inputDescs(model, SPLITFUSE, 'bf16', STEP);
    expect(specProblems(spec, inputs)).to.deep.equal([]);
    expect(inputs.get('model.layers.0.self_attn.query_key_value.bias')?.dtype).to.equal('f32');
  });
});
