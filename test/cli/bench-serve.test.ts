import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { planWorkload } from '../../src/cli/bench-serve/workload.js';
import { temporaryFolder } from '../weights/safetensors-writer.js';

const ROOT = join(import.meta.dirname, '../../..');

/** What a server is asked for. */
interface Asked {
  readonly path: string;
  readonly model: string;
  readonly prompt?: string;
  readonly messages?: readonly { content: string }[];
  readonly max_tokens: number;
}

const FIRST_MS = 60;
const GAP_MS = 20;

/** Answers as OpenAI's API streams: the first token after FIRST_MS, four in all, GAP_MS apart. Some requests it refuses. */
class SmallServer {
  readonly asked: Asked[] = [];
  refuseEvery = Number.POSITIVE_INFINITY;
  breaks = false;
  readonly #server: Server = createServer((request, response) => {
    this.#answer(request, response).catch(() => response.destroy());
  });

  async start(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/v1`;
  }

  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.url === '/v1/models') return void response.end(JSON.stringify({ data: [{ id: 'small' }] }));
    const body = JSON.parse(await text(request)) as Omit<Asked, 'path'>;
    this.asked.push({ ...body, path: request.url ?? '' });
    if (this.asked.length % this.refuseEvery === 0)
      return void response.writeHead(429).end('{"error":{"code":"busy"}}');
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const isChat = body.messages !== undefined;
    const send = (data: unknown) => response.write(`data: ${JSON.stringify(data)}\n\n`);
    send({ choices: [isChat ? { delta: { role: 'assistant', content: '' } } : { text: '' }] });
    await sleep(FIRST_MS);
    for (let i = 0; i < 4; i++) {
      if (i > 0) await sleep(GAP_MS);
      send({ choices: [isChat ? { delta: { content: ' word' } } : { text: ' word' }] });
      if (this.breaks) return void response.end();
    }
    send({ choices: [], usage: { prompt_tokens: 10, completion_tokens: 4 } });
    response.end('data: [DONE]\n\n');
  }
}

describe('atb-models bench-serve', function () {
  this.timeout(60_000);
  const path = temporaryFolder();
  let server: SmallServer;
  let baseUrl: string;
  beforeEach(async () => {
    server = new SmallServer();
    baseUrl = await server.start();
  });
  afterEach(() => server.stop());

  async function bench(...args: string[]) {
    const program = join(ROOT, 'scripts/atb-models.mjs');
    const child = spawn(process.execPath, [program, 'bench-serve', '--base_url', baseUrl, ...args]);
    const [stdout, stderr, [status]] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, 'exit') as Promise<[number]>,
    ]);
    return { status, stdout, stderr };
  }
  async function report(...args: string[]) {
    const { stdout, stderr } = await bench('--json', ...args);
    expect(stderr).to.equal('');
    return JSON.parse(stdout);
  }

  it('measures times to the first token and between tokens, and counts as the server does', async () => {
    const found = await report('--requests', '6', '--prompt_len', '3-5', '--output_len', '4');
    expect(found).to.include({
      model: 'small',
      requests: 6,
      succeeded: 6,
      promptTokens: 60,
      outputTokens: 24,
    });
    // Timers end late on a busy machine, never early; by a millisecond they may.
    expect(found.ttftMs.p50).to.be.within(FIRST_MS - 1, FIRST_MS + 1000);
    expect(found.interTokenMs.p50).to.be.within(GAP_MS - 2, GAP_MS + 500);
    expect(found.endToEndMs.p50).to.be.at.least(FIRST_MS + 3 * GAP_MS - 5);
    expect(found.outputTokensPerSecond).to.be.closeTo(24_000 / found.durationMs, 0.01);
    expect(found.records).to.have.length(6);
    for (const { path, model, prompt, max_tokens } of server.asked) {
      expect([path, model, max_tokens]).to.deep.equal(['/v1/completions', 'small', 4]);
      expect(prompt?.split(' ').length).to.be.within(3, 5);
    }
  });

  it('prints a table, draws a chart, and talks to /chat/completions where it is asked to', async () => {
    const svg = path('load.svg');
    const { status, stdout, stderr } = await bench(
      ...['--requests', '3', '--is_chat_model', '--model', 'a<b', '--svg', svg, '--output_len', '4'],
    );
    expect(status, stderr).to.equal(0);
    for (const row of ['3 of 3', 'time to first token', 'inter-token latency', 'p99', 'output tokens'])
      expect(stdout).to.contain(row);
    expect(server.asked[0]).to.include({ path: '/v1/chat/completions', model: 'a<b' });
    const chart = readFileSync(svg, 'utf8');
    expect(chart)
      .to.match(/^<svg /)
      .and.to.contain('a&lt;b')
      .and.not.to.contain('NaN');
    expect(chart.match(/<polyline/g)).to.have.length(2);
  });

  it('counts failures by what they are, and ends with 1 when nothing else is left', async () => {
    server.refuseEvery = 2;
    const some = await report('--requests', '4', '--output_len', '4');
    expect(some).to.deep.include({ succeeded: 2, failures: { 'HTTP 429 (busy)': 2 } });
    server.refuseEvery = 1;
    expect((await bench('--requests', '2')).status).to.equal(1);
    server.refuseEvery = Number.POSITIVE_INFINITY;
    server.breaks = true;
    const broken = await report('--requests', '1');
    expect(broken.failures).to.deep.equal({ 'the stream ended before [DONE]': 1 });
  });

  it('loads no other machine, and says when nobody answers', async () => {
    const program = join(ROOT, 'scripts/atb-models.mjs');
    const ask = async (url: string) => {
      const child = spawn(process.execPath, [program, 'bench-serve', '--base_url', url]);
      return text(child.stderr);
    };
    expect(await ask('http://example.com/v1')).to.match(/--base_url must be an address on this machine/);
    expect(await ask('http://127.0.0.1:9/v1')).to.match(
      /SERVER_UNREACHABLE: http:\/\/127.0.0.1:9\/v1\/models/,
    );
  });
});

describe('the workload of bench-serve', () => {
  const options = {
    requests: 2000,
    rate: 50,
    promptWords: { min: 2, max: 8 },
    outputTokens: { min: 1, max: 9 },
    sharedWords: 5,
    seed: 3,
  };

  it('arrives as a Poisson process, or all at once', () => {
    const planned = planWorkload(options);
    const gaps = planned.slice(1).map(({ atMs }, i) => atMs - (planned[i]?.atMs ?? 0));
    const mean = gaps.reduce((a, b) => a + b, 0) / gaps.length;
    const deviation = Math.sqrt(gaps.reduce((a, b) => a + (b - mean) ** 2, 0) / gaps.length);
    // Exponential gaps deviate by as much as they are long; 2000 of them know both within 10 %.
    expect(mean).to.be.within(18, 22);
    expect(deviation / mean).to.be.within(0.9, 1.1);
    const rate = Number.POSITIVE_INFINITY;
    expect(planWorkload({ ...options, rate }).every(({ atMs }) => atMs === 0)).to.equal(true);
  });

  it('has lengths of its ranges, one beginning for all, and is the same again', () => {
    const planned = planWorkload(options);
    const shared = planned[0]?.prompt.split(' ').slice(0, 5).join(' ');
    for (const { prompt, maxTokens } of planned) {
      expect(prompt.startsWith(`${shared} `)).to.equal(true);
      expect(prompt.split(' ').length - 5).to.be.within(2, 8);
      expect(maxTokens).to.be.within(1, 9);
    }
    const lengths = new Set(planned.map(({ prompt }) => prompt.split(' ').length));
    expect(lengths.size).to.equal(7);
    expect(planWorkload(options)).to.deep.equal(planned);
    expect(planWorkload({ ...options, seed: 4 })).to.not.deep.equal(planned);
  });
});
