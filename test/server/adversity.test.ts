import { once } from 'node:events';
import { connect } from 'node:net';
import { expect } from 'chai';
import { AtbError } from '../../src/errors.js';
import { createServer } from '../../src/server/index.js';
import { rawRequest } from './raw-request.js';
import { type Served, serveTiny } from './served.js';

describe('the server under adversity', function () {
  this.timeout(120_000);
  let served: Served;
  let port: number;
  before(async () => {
    served = await serveTiny({ maxBodyBytes: 1 << 20, maxWaiting: 2 });
    port = Number(new URL(served.address).port);
  });
  after(() => served.stop());

  const post = (
    body: string | Uint8Array<ArrayBuffer>,
    headers: Record<string, string> = {},
    path = '/v1/chat/completions',
  ) =>
    fetch(served.address + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body,
    });
  const statusOf = async (body: unknown): Promise<number> =>
    (await post(typeof body === 'string' ? body : JSON.stringify(body))).status;
  const chat = (more: object = {}): object => ({
    ...{ model: 'tiny', max_tokens: 2, messages: [{ role: 'user', content: 'Hi' }] },
    ...more,
  });

  it('answers what is no JSON, too large, too deep or of another kind with its status', async () => {
    for (const body of ['', '{', 'null', '[]', '1', '{"a":1}{', `\uFEFF{"messages":}`, '{"messages":1e999}'])
      expect(await statusOf(body), body).to.equal(400);
    expect(await statusOf(`\uFEFF${JSON.stringify(chat())}`)).to.equal(200);
    // Bytes of Latin-1, which would be read as other letters.
    const latin = Buffer.from(JSON.stringify(chat({ user: '\u00e9' })), 'latin1');
    expect((await post(Uint8Array.from(latin))).status).to.equal(400);
    expect(await statusOf(`{"messages":${'['.repeat(5000)}${']'.repeat(5000)}}`)).to.equal(400);
    for (const key of ['__proto__', 'constructor":{"prototype']) {
      const answer = await post(`{"${key}":{"polluted":1}${key.includes('{') ? '}' : ''},"messages":[]}`);
      expect([answer.status, await answer.text()].join(' ')).to.match(/^400 .*has a key/);
    }
    expect(await statusOf(chat({ messages: [{ role: 'user', content: 'x'.repeat(2 << 20) }] }))).to.equal(
      413,
    );
    expect((await post(JSON.stringify(chat()), { 'content-type': 'text/plain' })).status).to.equal(415);
    expect((await post(JSON.stringify(chat()), { 'content-encoding': 'gzip' })).status).to.equal(415);
    expect((await fetch(`${served.address}/v1/nothing`)).status).to.equal(404);
    expect((await fetch(`${served.address}/v1/chat/completions`)).status).to.equal(405);
    expect({}).to.not.have.property('polluted');
  });

  it('refuses every field out of its range, each by its name', async () => {
    const ids = [-1, 2 ** 32 + 5, 1e9, 0.5];
    const wrong: readonly (readonly [field: string, value: unknown])[] = [
      ...[-1, 1e9, 'x', []].map((value) => ['temperature', value] as const),
      ...[-0.1, 1.1].map((value) => ['top_p', value] as const),
      ...[-2, 0.5].map((value) => ['top_k', value] as const),
      ...[0, -1, 65, 2 ** 53].map((value) => ['n', value] as const),
      ...[0, -5, 0.5].map((value) => ['max_tokens', value] as const),
      ...[-3, 3].map((value) => ['presence_penalty', value] as const),
      ...ids.map((id) => ['stop_token_ids', [id]] as const),
      ...ids.map((id) => ['logit_bias', { [id]: 1 }] as const),
      ['stop', ['']],
      ['stop', 'x'.repeat(1 << 16)],
      ['stop', Array.from({ length: 100 }, (_, i) => `s${i}`)],
      ['logit_bias', { 5: 1000 }],
      ['top_logprobs', 10_000],
      ['cache_salt', ''],
      ['chat_template_kwargs', { messages: [] }],
      ['response_format', { type: 'json_schema', json_schema: {} }],
      ['guided_regex', '('],
      ['tools', [{ type: 'function', function: { name: 'a b' } }]],
    ];
    for (const [field, value] of wrong) {
      const answer = await post(JSON.stringify(chat({ logprobs: true, [field]: value })));
      const body = (await answer.json()) as { error: { message: string } };
      expect(
        answer.status,
        `${field}: ${JSON.stringify(value).slice(0, 60)}: ${body.error?.message}`,
      ).to.equal(400);
    }
  });

  it('refuses by name what other servers would make another answer of, unless it asks for nothing', async () => {
    const refused: Readonly<Record<string, unknown>> = {
      ...{ audio: { voice: 'a', format: 'mp3' }, modalities: ['text', 'audio'], web_search_options: {} },
      ...{ prompt_embeds: 'AA==', thinking_token_budget: 5, return_token_ids: true, bad_words: ['a'] },
      ...{ grammar: 'root ::= "a"', json_schema: {}, chat_template: '{{ 1 }}', truncate_prompt_tokens: 3 },
    };
    for (const [field, value] of Object.entries(refused)) {
      const answer = await post(JSON.stringify(chat({ [field]: value })));
      const { error } = (await answer.json()) as { error: { param: string } };
      expect([answer.status, error.param]).to.deep.equal([400, field]);
    }
    const nothing = { audio: null, modalities: ['text'], bad_words: [], truncate_prompt_tokens: -1 };
    const hints = {
      store: true,
      service_tier: 'flex',
      verbosity: 'low',
      prompt_cache_key: 'a',
      metadata: {},
    };
    expect(await statusOf(chat({ ...nothing, ...hints }))).to.equal(200);
    const message = { messages: [{ role: 'user', content: 'a' }], max_tokens: 1 };
    const servers = { ...message, mcp_servers: [{ type: 'url', url: 'https://example.com', name: 'a' }] };
    const answer = await fetch(`${served.address}/v1/messages`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(servers),
    });
    expect([answer.status, await answer.text()].join(' ')).to.match(/^400 .*mcp_servers is not built here/);
  });

  it('refuses options that it does not know, of which a mistyped one would let everybody in', () => {
    expect(() => createServer({ models: [], apiKey: ['a'] } as never)).to.throw(AtbError, /nearest: apiKeys/);
    expect(() => createServer({} as never)).to.throw(AtbError, /models must be a list/);
  });

  it('bounds schemas and expressions in time', async () => {
    const deep = JSON.parse(`${'{"items":'.repeat(100)}{}${'}'.repeat(100)}`) as object;
    const wide = { properties: Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`p${i}`, {}])) };
    const started = performance.now();
    for (const guide of [
      { guided_json: deep },
      { guided_json: wide },
      { guided_json: { $ref: '#' } },
      { guided_json: { allOf: [{ $ref: '#' }] } },
      { guided_regex: '(a+)+$'.repeat(50) },
      { guided_regex: '(a{1000}){1000}' },
      { guided_regex: '(\\p{L}*\\p{N}*){1,500}' },
      { guided_regex: '('.repeat(9000) },
      { guided_json: { type: 'string', pattern: '^(a|a)*$' } },
      { guided_json: { patternProperties: { '(x+x+)+y': {} }, properties: { ['x'.repeat(40)]: {} } } },
      { guided_grammar: `root ::= ${'a '.repeat(5000)}\na ::= "x"?` },
    ])
      expect(
        await statusOf(chat({ ...guide, max_tokens: 64 })),
        JSON.stringify(guide).slice(0, 80),
      ).to.be.oneOf([200, 400]);
    expect(performance.now() - started).to.be.below(60_000);
  });

  it('outlives clients that talk nonsense, stop half-way or vanish', async () => {
    expect(await rawRequest(port, 'GET / HTTP/9.9\r\n\r\n')).to.match(/^HTTP\/1\.1 4\d\d|^$/);
    expect(
      await rawRequest(port, `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(40_000)}\r\n\r\n`),
    ).to.match(/ 431 [\s\S]*connection: close[\s\S]*\{"error":\{"message":"the headers are larger/);
    expect(
      await rawRequest(
        port,
        'POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"a"',
        300,
      ),
    ).to.equal('');
    expect(await rawRequest(port, 'GET /v1/models HTTP/1.1\r\nHost: attacker.example\r\n\r\n', 500)).to.match(
      / 403 /,
    );
    for (let i = 0; i < 10; i++) {
      const body = JSON.stringify(chat({ stream: true, max_tokens: 200 }));
      const head = `POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n`;
      void rawRequest(port, head + body, 20 * i);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    while (served.llm.stats.running > 0) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await statusOf(chat())).to.equal(200);
  });

  const raw = (head: readonly string[], body: string, forMs?: number): Promise<string> => {
    const all = [
      ...head,
      'Host: localhost',
      'Content-Type: application/json',
      `Content-Length: ${body.length}`,
    ];
    return rawRequest(port, `${all.join('\r\n')}\r\n\r\n${body}`, forMs);
  };

  it('reads what clients still send of a body that is too large, which would lose the answer otherwise', async () => {
    const head = 'POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json';
    const letters = 'a'.repeat(8 << 20);
    for (const sent of [
      `${head}\r\nContent-Length: ${letters.length}\r\n\r\n${letters}`,
      `${head}\r\nTransfer-Encoding: chunked\r\n\r\n800000\r\n${letters}\r\n0\r\n\r\n`,
    ]) {
      const socket = connect(port, '127.0.0.1');
      let received = '';
      socket.on('data', (data) => {
        received += String(data);
      });
      // Fails where the other side has closed.
      await new Promise<void>((resolve, reject) => {
        socket.on('error', reject).write(sent, (error) => (error ? reject(error) : resolve()));
      });
      await once(socket, 'close');
      expect(received).to.match(/^HTTP\/1.1 413 [\s\S]*connection: close[\s\S]*serve --max_body 64MiB/);
    }
  });

  it('ends connections when clients say so, those of streams among them', async () => {
    const body = JSON.stringify({ prompt: 'Once', max_tokens: 2, stream: true });
    for (const head of [
      ['POST /v1/completions HTTP/1.1', 'Connection: close'],
      ['POST /v1/completions HTTP/1.0'],
    ]) {
      const started = performance.now();
      expect(await raw(head, body, 60_000)).to.match(/Connection: close[\s\S]*data: \[DONE\]/);
      expect(performance.now() - started).to.be.below(50_000);
    }
  });

  it('says in the shape of all errors what Node.js and Fastify find wrong', async () => {
    const ask = (...head: readonly string[]): Promise<string> =>
      rawRequest(port, [...head, 'Connection: close', '', ''].join('\r\n'));
    expect(await ask('GET /v1/models HTTP/1.1')).to.match(
      / 400 [\s\S]*"error":\{"message":"a request must name/,
    );
    expect(await ask('GET /v1/models HTTP/1.1', 'Host: localhost', 'Expect: x')).to.match(
      / 417 [\s\S]*expect must be 100-continue, found \\"x\\"/,
    );
    // Load balancers ask so.
    expect(await ask('GET /health/live HTTP/1.0')).to.match(/ 200 /);
    expect(await ask('GET /v1/models HTTP/1.1', 'Host: a.example')).to.match(
      / 403 [\s\S]*--api_key [\s\S]* found \\"a.example\\"/,
    );
    for (const type of ['///', 'application/json, application/json']) {
      const answer = await post('{}', { 'content-type': type });
      expect([answer.status, await answer.text()].join(' ')).to.include(
        `415 {"error":{"message":"content-type must be application/json, found \\"${type}`,
      );
    }
    expect(await (await post('{"max_tokens": NaN}')).text()).to.include(
      'the body is no JSON: Unexpected token',
    );
    expect(await (await post('')).text()).to.include('the body is no JSON: it is empty');
    const tools = JSON.stringify({ ...chat(), tools: Array(200).fill({}) });
    expect(await (await post(tools)).text()).to.include('tools must have at most 128 entries, found 200');
    expect(await (await post('{"temperature":1e999}')).text()).to.include(
      'temperature must be a number that',
    );
  });

  it('has neither prompts nor answers in its log, and the cause of each failure, also of a stream', async () => {
    const { write } = process.stderr;
    const lines: string[] = [];
    process.stderr.write = (text) => lines.push(String(text)) > 0;
    const own = await serveTiny({ logLevel: 'info' });
    try {
      const ask = (stream: boolean, signal?: AbortSignal): Promise<string> =>
        fetch(`${own.address}/v1/completions`, {
          method: 'POST',
          ...(signal && { signal }),
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ prompt: 'Once upon', max_tokens: 200, ignore_eos: true, n: 16, stream }),
        }).then((answer) => answer.text());
      for (const stream of [false, true]) {
        const controller = new AbortController();
        const asked = ask(stream, controller.signal).catch(() => '');
        while (own.llm.stats.running === 0) await new Promise((resolve) => setTimeout(resolve, 2));
        controller.abort();
        await asked;
        while (own.llm.stats.running > 0) await new Promise((resolve) => setTimeout(resolve, 2));
      }
      expect(lines.join('').match(/the client is gone/g)).to.have.lengthOf(2);
      expect(lines.join('')).to.not.include('"level":50');
      const { runner } = own.llm;
      const run = runner.run.bind(runner);
      for (const stream of [false, true]) {
        let left = 4;
        runner.run = (...step) => (left-- > 0 ? run(...step) : Promise.reject(new Error('injected')));
        expect(await ask(stream)).to.include('its log says more');
      }
      const log = lines.join('');
      expect(log.match(/"level":50.*REQUEST_FAILED.*caused by: Error: injected/g)).to.have.lengthOf(2);
      expect(log).to.not.match(/upon|there|detail/);
    } finally {
      process.stderr.write = write;
      await own.stop();
    }
  });

  it('lets in as many as it can serve, and tells the others at once when to come back', async () => {
    const answers = await Promise.all(
      Array.from({ length: 60 }, async () => {
        const started = performance.now();
        const answer = await post(JSON.stringify(chat({ max_tokens: 100, ignore_eos: true })));
        await answer.text();
        return {
          status: answer.status,
          retryAfter: answer.headers.get('retry-after'),
          ms: performance.now() - started,
        };
      }),
    );
    const refused = answers.filter(({ status }) => status === 429);
    const admitted = answers.filter(({ status }) => status === 200);
    expect(admitted.length + refused.length).to.equal(60);
    expect(admitted.length).to.be.within(10, 40);
    for (const { retryAfter } of refused) expect(retryAfter).to.equal('1');
    const middle = refused.map(({ ms }) => ms).sort((a, b) => a - b)[refused.length >> 1] ?? 0;
    const slowest = Math.max(...admitted.map(({ ms }) => ms));
    expect(middle).to.be.below(slowest);
  });

  it('reports figures under the names that dashboards know', async () => {
    const text = await (await fetch(`${served.address}/metrics`)).text();
    for (const name of [
      'num_requests_running',
      'num_requests_waiting',
      'kv_cache_usage_perc',
      'spec_decode_num_draft_tokens_total',
      'spec_decode_num_accepted_tokens_total',
      'generation_tokens_total',
      ...['request_prompt_tokens_count', 'request_generation_tokens_sum'],
    ])
      expect(text).to.match(new RegExp(`^vllm:${name}\\{model_name="tiny"[^}]*\\} \\d`, 'm'));
    // vllm-project/vllm#29330, llm-d/llm-d-inference-sim#264, kubernetes-sigs/gateway-api-inference-extension#1905
    const kinds = new Map([...text.matchAll(/^# TYPE (\S+) (\w+)$/gm)].map(([, name, kind]) => [name, kind]));
    for (const [name, kind] of kinds) expect(kind === 'counter', name).to.equal(name?.endsWith('_total'));
    expect(kinds.get('vllm:inter_token_latency_seconds')).to.equal('histogram');
    expect((await fetch(`${served.address}/health/ready`)).status).to.equal(200);
  });

  it('finishes what it has begun when it is told to stop, and takes nothing new', async () => {
    const own = await serveTiny();
    const begun = fetch(`${own.address}/v1/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ prompt: 'Once', max_tokens: 150, ignore_eos: true }),
    });
    while (own.llm.stats.running === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    const closing = own.server.close(30_000);
    const late = await fetch(`${own.address}/v1/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ prompt: 'Late' }),
    });
    expect(late.status).to.equal(503);
    expect((await fetch(`${own.address}/health/ready`)).status).to.equal(503);
    const answer = (await (await begun).json()) as { usage: { completion_tokens: number } };
    expect(answer.usage.completion_tokens).to.equal(150);
    await closing;
    await own.llm.dispose();
  });
});
