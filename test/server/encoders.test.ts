import { expect } from 'chai';
import type OpenAI from 'openai';
import { sentenceCase } from '../engine/embedding-fixtures.js';
import { largestDifference } from '../oracle/logits.js';
import { type Listening, openAiOf, serveEncoders, serveTiny } from './served.js';

/** Vectors are about 1 long. */
const TOLERANCE = 1e-5;
const { embedded } = sentenceCase('bert-cls');
const [ranking] = sentenceCase('bert-ranks').ranked;
const { query, documents, scores } = ranking as NonNullable<typeof ranking>;

interface Ranked {
  readonly id: string;
  readonly model: string;
  readonly results: readonly { index: number; relevance_score: number; document?: { text: string } }[];
  readonly usage: { prompt_tokens: number; total_tokens: number };
}

describe('models that embed and rank behind the server', function () {
  this.timeout(60_000);
  let served: Listening;
  let client: OpenAI;
  before(async () => {
    served = await serveEncoders({ writes: {}, embeds: ['bert-cls', 'qwen3-last'], ranks: ['bert-ranks'] });
    client = openAiOf(served);
  });
  after(() => served.stop());

  const post = (path: string, body: object, more: RequestInit = {}): Promise<Response> =>
    fetch(served.address + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      ...more,
    });
  const rerank = async (body: object, path = '/v1/rerank'): Promise<Ranked> =>
    (await (await post(path, { query, documents, ...body })).json()) as Ranked;
  const refusal = async (path: string, body: object): Promise<unknown[]> => {
    const answer = await post(path, body);
    const { error } = (await answer.json()) as { error: { code: unknown; param: unknown } };
    return [answer.status, error.code, error.param];
  };

  it("give the openai package sentence-transformers' vectors, of one text and of several, in both formats", async () => {
    const plain = embedded.filter(({ options }) => Object.keys(options).length === 0);
    const input = plain.map(({ text }) => text);
    for (const format of [undefined, 'base64', 'float'] as const) {
      const { data, model, object, usage } = await client.embeddings.create({
        model: 'bert-cls',
        input,
        ...(format && { encoding_format: format }),
      });
      expect([model, object, usage.total_tokens]).to.deep.equal(['bert-cls', 'list', usage.prompt_tokens]);
      for (const [at, { index, embedding, object: kind }] of data.entries()) {
        expect([index, kind]).to.deep.equal([at, 'embedding']);
        // The package makes numbers of base64 only where it has asked for it by itself.
        const found: unknown = embedding;
        const numbers =
          typeof found === 'string'
            ? new Float32Array(new Uint8Array(Buffer.from(found, 'base64')).buffer)
            : embedding;
        expect(typeof found === 'string').to.equal(format === 'base64');
        const expected = Float32Array.from(plain[at]?.vector ?? []);
        expect(numbers.length).to.equal(expected.length);
        expect(largestDifference(Float32Array.from(numbers), expected)).to.be.at.most(TOLERANCE);
      }
    }
    const one = await client.embeddings.create({ model: 'bert-cls', input: input[0] ?? '', dimensions: 64 });
    expect(one.data).to.have.length(1);
  });

  it('take token ids as they are, and put the prompt that a request names before texts', async () => {
    const ids = await client.embeddings.create({ model: 'qwen3-last', input: [5, 6, 7] });
    expect(ids.usage.prompt_tokens).to.equal(3);
    const mixed = await client.embeddings.create({ model: 'qwen3-last', input: [[5, 6, 7], [9]] });
    expect(mixed.data[0]?.embedding).to.deep.equal(ids.data[0]?.embedding);
    const asked = embedded.find(({ options }) => options.prompt_name === 'query');
    const answer = await post('/v1/embeddings', {
      model: 'bert-cls',
      input: asked?.text,
      prompt_name: 'query',
    });
    const { data } = (await answer.json()) as { data: { embedding: number[] }[] };
    const [found] = data;
    expect(
      largestDifference(Float32Array.from(found?.embedding ?? []), Float32Array.from(asked?.vector ?? [])),
    ).to.be.at.most(TOLERANCE);
  });

  it("rank documents by the scores of sentence-transformers' CrossEncoder, the best first", async () => {
    const { model, results, usage } = await rerank({});
    expect(model).to.equal('bert-ranks');
    expect(results.map(({ index }) => index).sort()).to.deep.equal(documents.map((_, i) => i));
    for (const [at, { index, relevance_score: score }] of results.entries()) {
      expect(score).to.be.closeTo(scores[index] as number, TOLERANCE);
      expect(score).to.be.at.most(results[at - 1]?.relevance_score ?? Number.POSITIVE_INFINITY);
    }
    expect(usage.prompt_tokens).to.be.above(documents.length);
    expect(usage.total_tokens).to.equal(usage.prompt_tokens);
    for (const path of ['/rerank', '/v2/rerank']) {
      const best = await rerank({ top_n: 2, return_documents: true }, path);
      expect(best.results.map(({ index }) => index)).to.deep.equal(
        results.slice(0, 2).map(({ index }) => index),
      );
      for (const { index, document } of best.results)
        expect(document).to.deep.equal({ text: documents[index] });
    }
    const wrapped = await rerank({ documents: documents.map((text) => ({ text })), top_n: 99 });
    expect(wrapped.results).to.deep.equal(results);
  });

  it('are found by what a path asks for when a request names no model, and refused for anything else', async () => {
    const found = async (path: string, body: object): Promise<string> =>
      ((await (await post(path, body)).json()) as { model: string }).model;
    expect(await found('/v1/embeddings', { input: 'a' })).to.equal('bert-cls');
    expect(await found('/v1/completions', { prompt: 'a', max_tokens: 1 })).to.equal('tiny');
    const notSupported = [400, 'model_not_supported', 'model'];
    expect(await refusal('/v1/embeddings', { model: 'tiny', input: 'a' })).to.deep.equal(notSupported);
    expect(await refusal('/v1/embeddings', { model: 'bert-ranks', input: 'a' })).to.deep.equal(notSupported);
    expect(await refusal('/v1/rerank', { model: 'bert-cls', query, documents })).to.deep.equal(notSupported);
    expect(await refusal('/v1/completions', { model: 'bert-cls', prompt: 'a' })).to.deep.equal(notSupported);
    expect(await refusal('/v1/embeddings', { model: 'none', input: 'a' })).to.deep.equal([
      404,
      'model_not_found',
      'model',
    ]);
    const { data } = await client.models.list();
    expect(data.map((card) => (card as unknown as { capabilities: string[] }).capabilities[0])).to.deep.equal(
      ['completion', 'embedding', 'embedding', 'rerank'],
    );
  });

  it('refuse what is malformed by the name of its field', async () => {
    const embeds = async (body: object): Promise<unknown[]> =>
      (await refusal('/v1/embeddings', body)).slice(0, 3);
    for (const input of [undefined, null, 5, {}, [], [[]], [1.5], [-1], ['a', 5], new Array(2049).fill('a')])
      expect((await embeds({ input })).join(' '), JSON.stringify(input)?.slice(0, 40)).to.match(
        /^400 {2}input/,
      );
    for (const dimensions of [0, 65])
      expect(await embeds({ input: 'a', dimensions })).to.deep.equal([400, null, 'dimensions']);
    expect(await embeds({ input: 'a', encoding_format: 'int8' })).to.deep.equal([
      400,
      null,
      'encoding_format',
    ]);
    expect(await embeds({ input: 'a', prompt_name: 'none' })).to.deep.equal([400, null, 'prompt_name']);
    for (const input of [[2 ** 32 + 5], [1000], new Array(17).fill(1)])
      expect((await embeds({ input })).join(' '), JSON.stringify(input)).to.match(/^400 {2}input\[0\]/);
    for (const [field, value] of [
      ['query', 5],
      ['documents', []],
      ['documents', 'a'],
      ['documents', new Array(1001).fill('a')],
      ['top_n', 0],
      ['instruction', 'find it'],
    ] as const)
      expect(await refusal('/v1/rerank', { query, documents, [field]: value }), field).to.deep.equal([
        400,
        null,
        field,
      ]);
  });

  it('are counted, prove that they answer, and stop when the client is gone', async () => {
    const figure = async (name: string, model: string): Promise<number> => {
      const text = await (await fetch(`${served.address}/metrics`)).text();
      return Number(
        new RegExp(`^vllm:${name}\\{model_name="${model}"[^}]*\\} (\\S+)`, 'm').exec(text)?.[1] ?? 0,
      );
    };
    expect((await fetch(`${served.address}/health/ready`)).status).to.equal(200);
    const before = await figure('prompt_tokens_total', 'qwen3-last');
    await client.embeddings.create({ model: 'qwen3-last', input: [5, 6, 7] });
    expect(await figure('prompt_tokens_total', 'qwen3-last')).to.equal(before + 3);
    const failed = await figure('request_failure_total', 'bert-cls');
    const leaving = new AbortController();
    const gone = post(
      '/v1/embeddings',
      { model: 'bert-cls', input: new Array(2048).fill('the dog and the house in the woods') },
      { signal: leaving.signal },
    ).catch((error: unknown) => (error as Error).name);
    while ((await figure('num_requests_running', 'bert-cls')) === 0) await new Promise(setImmediate);
    leaving.abort();
    expect(await gone).to.equal('AbortError');
    while ((await figure('num_requests_running', 'bert-cls')) > 0) await new Promise(setImmediate);
    expect(await figure('request_failure_total', 'bert-cls')).to.equal(failed + 1);
  });

  it('are let in as others are: only as many as will begin soon, for no longer than requests may take', async () => {
    const own = await serveEncoders({ embeds: ['bert-cls'] }, { maxWaiting: 0, requestTimeoutMs: 300 });
    const ask = (): Promise<number> =>
      fetch(`${own.address}/v1/embeddings`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ input: new Array(2048).fill('the dog and the house in the woods') }),
      }).then(({ status }) => status);
    try {
      const statuses = await Promise.all(Array.from({ length: 24 }, ask));
      expect([...new Set(statuses)].sort()).to.deep.equal([408, 429]);
      expect(statuses.filter((status) => status === 408)).to.have.length.within(8, 16);
    } finally {
      await own.stop();
    }
  });

  it('are missing where only a text model is served, which every path for them says', async () => {
    const own = await serveTiny();
    try {
      for (const [path, body] of [
        ['/v1/embeddings', { input: 'a' }],
        ['/v1/rerank', { query, documents }],
      ] as const) {
        const answer = await fetch(own.address + path, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(body),
        });
        expect(answer.status).to.equal(404);
        expect(await answer.json()).to.have.nested.property('error.code', 'model_not_found');
      }
    } finally {
      await own.stop();
    }
  });
});
