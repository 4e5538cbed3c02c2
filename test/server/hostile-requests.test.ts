import { expect } from 'chai';
import { rawRequest } from './raw-request.js';
import { type Listening, type Served, serveEncoders, serveTiny } from './served.js';

/** What a body of `/v1/completions` is answered with. */
async function complete(served: Listening, body: unknown): Promise<readonly [status: number, error: string]> {
  const answer = await fetch(`${served.address}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  const { error } = (await answer.json()) as { error?: { code: string | null; param: string | null } };
  return [answer.status, error?.code ?? error?.param ?? ''];
}
const ids = (length: number, more: object = {}): object => ({
  ...{ prompt: new Array(length).fill(5), max_tokens: 1 },
  ...more,
});

/** Methods and paths of a tree as Fastify prints it, four columns to a level. */
function routesOf(tree: string): (readonly [method: string, path: string])[] {
  const above: string[] = [];
  return tree.split('\n').flatMap((line) => {
    const [, indent = '', name = '', methods = ''] = /^(\W*── )(\S+) \(([A-Z, ]+)\)/.exec(line) ?? [];
    if (name === '') return [];
    const level = indent.length / 4 - 1;
    const path = (above[level - 1] ?? '') + name;
    above[level] = path;
    const asked = methods.split(', ').filter((method) => method === 'GET' || method === 'POST');
    return asked.map((method) => [method, path.replaceAll('*', 'x')] as const);
  });
}

describe('hostile requests', function () {
  this.timeout(60_000);
  let served: Served;
  before(async () => {
    served = await serveTiny();
  });
  after(() => served.stop());

  it('fill the model exactly, or are told that they are too long for it', async () => {
    for (const length of [254, 255]) expect(await complete(served, ids(length))).to.deep.equal([200, '']);
    for (const body of [ids(256), ids(257), ids(255, { max_tokens: 2 }), ids(1, { max_tokens: 2 ** 31 - 1 })])
      expect(await complete(served, body)).to.deep.equal([400, 'context_length_exceeded']);
  });

  it('fit the cache, too, or are told at once that they never will', async () => {
    // Room for the weights and a few blocks: less than the model's length.
    const { weightBytes, cacheBytes } = served.llm.runner.memory();
    const small = await serveTiny({}, { memoryBudget: weightBytes + Math.floor(cacheBytes / 16) });
    try {
      const { maxModelLen } = small.llm;
      expect(maxModelLen).to.be.within(32, 255);
      expect(await complete(small, ids(maxModelLen - 1))).to.deep.equal([200, '']);
      expect(await complete(small, ids(maxModelLen + 1))).to.deep.equal([400, 'context_length_exceeded']);
    } finally {
      await small.stop();
    }
  });

  it('ask for as many answers to as many prompts as one request may have, and no more', async () => {
    const prompts = (count: number): object => ids(1, { prompt: new Array(count).fill([5]), n: 64 });
    expect(await complete(served, prompts(2))).to.deep.equal([200, '']);
    expect(await complete(served, prompts(3))).to.deep.equal([400, 'n']);
  });

  it('have numbers that no sampler takes, or fields twice', async () => {
    const long = '['.repeat(10_000) + ']'.repeat(10_000);
    for (const [body, param] of [
      ['{"prompt":"a","temperature":1e999}', 'temperature'],
      ['{"prompt":"a","max_tokens":1e300}', 'max_tokens'],
      ['{"prompt":"a","seed":1e300}', 'seed'],
      ['{"prompt":"a","seed":0.5}', 'seed'],
      ['{"prompt":"a","seed":-36893488147419103232}', 'seed'],
      ['{"prompt":"a","n":"2"}', 'n'],
      ['{"prompt":"a","min_tokens":-1}', 'min_tokens'],
      ['{"prompt":"a","max_tokens":1,"min_tokens":2}', 'min_tokens'],
      ['{"prompt":"a","max_tokens":1000000000000}', 'max_tokens'],
      ['{"prompt":[4294967301]}', 'prompt[0]'],
      ['{"prompt":true}', 'prompt'],
      ['{"prompt":"a","logit_bias":{"1e3":1}}', 'logit_bias[1e3]'],
      ['{"prompt":"a","logit_bias":{"__proto__":1}}', ''],
      [`{"prompt":${long}}`, ''],
      ['{"prompt":"a","model":"tiny","model":"none"}', 'model_not_found'],
    ] as const)
      expect(await complete(served, body), body.slice(0, 60)).to.deep.equal([
        param === 'model_not_found' ? 404 : 400,
        param,
      ]);
    const largest = '"n":2,"seed":18446744073709551615';
    for (const more of [
      largest,
      '"seed":-5',
      '"top_p":0',
      '"stop":[]',
      '"stop":["a","b","c","d","e"]',
      '"user":"x"',
    ])
      expect(
        await complete(served, `{"prompt":"\\ud800\\u0000","max_tokens":1,${more}}`),
        more,
      ).to.deep.equal([200, '']);
  });

  it('name this machine once as their host, or are not answered', async () => {
    const port = Number(new URL(served.address).port);
    const statusOf = async (lines: readonly string[]): Promise<string> => {
      const answer = await rawRequest(port, [...lines, 'Connection: close', '', ''].join('\r\n'));
      return /^HTTP\/1\.1 (\d+)/.exec(answer)?.[1] ?? answer;
    };
    const path = 'GET /v1/models HTTP/1.1';
    for (const host of ['localhost', 'LOCALHOST:99999', 'a.localhost', '127.0.0.1:1', '[::1]:80'])
      expect(await statusOf([path, `Host: ${host}`]), host).to.equal('200');
    for (const host of ['evil.example', 'localhost@evil.example', 'localhost.evil.example', 'localhost.', ''])
      expect(await statusOf([path, `Host: ${host}`, 'X-Forwarded-Host: localhost']), host).to.equal('403');
    expect(await statusOf(['GET /v1/models HTTP/1.0'])).to.equal('403');
    expect(await statusOf(['GET /v1/models HTTP/1.0', 'Host: localhost'])).to.equal('200');
    for (const lines of [
      [path],
      [path, 'Host: localhost', 'Host: evil.example'],
      ['GET http://evil.example/v1/models HTTP/1.1', 'Host: localhost'],
      ['GET /v1/models/%ff HTTP/1.1', 'Host: localhost'],
      ['GET /\0 HTTP/1.1', 'Host: localhost'],
      ['POST /v1/completions HTTP/1.1', 'Host: localhost', 'Content-Length: 5', 'Transfer-Encoding: chunked'],
    ])
      expect(await statusOf(lines), lines.join()).to.equal('400');
    expect(await rawRequest(port, 'GET /v1/models HTTP/1.1\nHost: localhost\n\n', 500)).to.match(
      /^HTTP\/1\.1 400/,
    );
    expect(await statusOf(['GET /docs/../../../etc/passwd HTTP/1.1', 'Host: localhost'])).to.equal('404');
    expect(await statusOf(['GET /docs/static/..%2f..%2fpackage.json HTTP/1.1', 'Host: localhost'])).to.equal(
      '404',
    );
  });

  it('have the whole key, or reach none of the paths that are not open', async () => {
    const locked = await serveEncoders({ embeds: ['bert-cls'] }, { apiKeys: ['secret-key'] });
    try {
      const routes = routesOf(locked.server.app.printRoutes({ commonPrefix: false }));
      expect(routes.length).to.be.above(15);
      const open: string[] = [];
      for (const [method, path] of routes) {
        const { status } = await fetch(locked.address + path, { method, redirect: 'manual' });
        if (status !== 401) open.push(path);
      }
      expect(open.filter((path) => !/^\/(?:docs|health|openapi\.json|$)/.test(path))).to.deep.equal([]);
      for (const headers of [
        { authorization: 'Bearer ' },
        { authorization: 'Bearer secret' },
        { authorization: 'Bearer secret-key2' },
        { authorization: 'Bearer secret-key other' },
        { authorization: 'Basic c2VjcmV0LWtleQ==' },
        { authorization: 'secret-key' },
        { 'x-api-key': 'Bearer secret-key' },
        { authorization: 'Bearer other', 'x-api-key': 'secret-key' },
      ])
        expect(
          (await fetch(`${locked.address}/v1/models`, { headers })).status,
          JSON.stringify(headers),
        ).to.equal(401);
      for (const headers of [{ authorization: 'bearer  secret-key' }, { 'x-api-key': 'secret-key' }])
        expect((await fetch(`${locked.address}/v1/models`, { headers })).status).to.equal(200);
      const port = Number(new URL(locked.address).port);
      const twice = [
        'GET /v1/models HTTP/1.1',
        'Host: localhost',
        'Authorization: Bearer no',
        'Authorization: Bearer secret-key',
      ];
      expect(await rawRequest(port, [...twice, 'Connection: close', '', ''].join('\r\n'))).to.match(
        /^HTTP\/1\.1 401/,
      );
    } finally {
      await locked.stop();
    }
  });
});
