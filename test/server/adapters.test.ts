import { expect } from 'chai';
import { createServer } from '../../src/server/app.js';
import { serveModel } from '../../src/server/served-model.js';
import { writeTinyAdapter } from '../engine/tiny-adapter.js';
import { temporaryFolder } from '../weights/safetensors-writer.js';
import { openAiOf, type Served, serveTiny } from './served.js';

const PROMPT = 'Once upon a time';

describe('LoRA adapters of a model that is served', function () {
  this.timeout(60_000);
  const path = temporaryFolder();
  let served: Served;
  before(async () => {
    const loraModules = { pirate: writeTinyAdapter(path('pirate')), poet: writeTinyAdapter(path('poet'), 2) };
    served = await serveTiny({}, { loraModules });
  });
  after(() => served?.stop());

  const get = async (where: string) => (await fetch(`${served.address}${where}`)).text();

  it('are models by their own names, which say of what', async () => {
    const { data } = JSON.parse(await get('/v1/models'));
    const named = data.map(({ id, parent }: { id: string; parent?: string }) => [id, parent]);
    expect(named).to.deep.equal([
      ['tiny', undefined],
      ['pirate', 'tiny'],
      ['poet', 'tiny'],
    ]);
    expect(JSON.parse(await get('/v1/models/poet'))).to.include({ id: 'poet', parent: 'tiny' });
    expect(JSON.parse(await get('/health/ready'))).to.deep.equal({ status: 'ready' });
  });

  it('answer as the library does, side by side', async () => {
    const client = openAiOf(served);
    const request = { prompt: PROMPT, max_tokens: 16, temperature: 0 };
    const models = ['tiny', 'pirate', 'poet'];
    const texts = await Promise.all(
      models.map(async (model) => (await client.completions.create({ model, ...request })).choices[0]?.text),
    );
    expect(new Set(texts).size).to.equal(3);
    for (const [at, model] of models.entries()) {
      const adapter = model === 'tiny' ? undefined : model;
      const { text } = await served.llm.generate(PROMPT, { maxTokens: 16, temperature: 0, adapter });
      expect(texts[at], model).to.equal(text);
    }
    const chunks = await client.completions.create({ model: 'poet', ...request, stream: true });
    let streamed = '';
    for await (const { choices } of chunks) streamed += choices[0]?.text ?? '';
    expect(streamed).to.equal(texts[2]);
    const metrics = await get('/metrics');
    for (const model of models)
      expect(metrics, model).to.match(
        RegExp(`vllm:request_success_total\\{.*model_name="${model}".*\\} [12]`),
      );
    expect(metrics.match(/^vllm:num_requests_running\{/gm)).to.have.length(1);
  });

  it('have names that nothing else has', () => {
    const model = serveModel('poet', served.llm);
    expect(() => createServer({ models: [model] })).to.throw('names that differ, found "poet"');
  });
});
