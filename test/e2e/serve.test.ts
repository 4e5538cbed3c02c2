import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { expect } from 'chai';
import { sentenceCase, sentenceCheckpoint } from '../engine/embedding-fixtures.js';

const ROOT = join(import.meta.dirname, '../../..');
const MODELS = join(ROOT, 'examples/models');
const PROGRAM = join(ROOT, 'scripts/atb-models.mjs');

interface Started {
  readonly process: ChildProcess;
  readonly address: string;
}

/** Starts the command on a free port and waits for its address. */
async function serve(...args: readonly string[]): Promise<Started> {
  const started = spawn(process.execPath, [
    PROGRAM,
    'serve',
    ...(args.includes('--port') ? [] : ['--port', '0']),
    ...(args.includes('--log_level') ? args : ['--log_level', 'warn', ...args]),
  ]);
  let said = '';
  for await (const piece of started.stderr.iterator({ destroyOnReturn: false })) {
    said += String(piece);
    const [, address] = / at (http:[^\s"]+)/.exec(said) ?? [];
    if (address !== undefined) return { process: started, address };
  }
  throw new Error(said);
}

const post = (address: string, path: string, body: object): Promise<Response> =>
  fetch(address + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });

describe('atb-models serve', function () {
  this.timeout(120_000);

  it('serves several models by name, finishes what runs when it is stopped, and ends with 0', async () => {
    const { process: server, address } = await serve(
      ...['--model', `big=${join(MODELS, 'tiny-stories')}`, `small=${join(MODELS, 'tiny-stories-draft')}`],
    );
    const listed = (await (await fetch(`${address}/v1/models`)).json()) as { data: { id: string }[] };
    expect(listed.data.map(({ id }) => id)).to.deep.equal(['big', 'small']);
    const short = await post(address, '/v1/completions', { model: 'small', prompt: 'Once', max_tokens: 4 });
    expect(await short.json()).to.have.nested.property('usage.completion_tokens', 4);
    const running = post(address, '/v1/completions', {
      ...{ model: 'big', prompt: 'Once upon a time', max_tokens: 200, ignore_eos: true, stream: true },
    });
    const stream = await running;
    const ended = once(server, 'exit');
    server.kill('SIGTERM');
    const text = await stream.text();
    expect(text.trimEnd().endsWith('data: [DONE]')).to.equal(true);
    expect(text.match(/"finish_reason":"length"/g)).to.have.length(1);
    expect(await ended).to.deep.equal([0, null]);
  });

  it('serves beside them what embeds and what ranks, as files or flags say', async () => {
    const checkpoints = ['bert-cls', 'bert-ranks', 'qwen3-bare'].map((name) =>
      sentenceCheckpoint(sentenceCase(name)),
    );
    const [vectors, scores, bare] = checkpoints.map(({ path }) => path);
    try {
      const { process: server, address } = await serve(
        ...[
          '--model',
          `small=${join(MODELS, 'tiny-stories-draft')}`,
          `vectors=${vectors}`,
          `scores=${scores}`,
        ],
        ...['--model', `bare=${bare}`, '--use', 'bare=embed', '--kv_quant', 'int8', '--max_model_len', '128'],
      );
      const { data } = (await (await fetch(`${address}/v1/models`)).json()) as {
        data: { capabilities: string[]; max_model_len: number }[];
      };
      expect(data.map(({ capabilities, max_model_len: length }) => [...capabilities, length])).to.deep.equal([
        ['completion', 128],
        ['embedding', 16],
        ['rerank', 64],
        ['embedding', 64],
      ]);
      const embedded = await post(address, '/v1/embeddings', { model: 'bare', input: 'The dog' });
      expect(await embedded.json())
        .to.have.nested.property('data[0].embedding')
        .that.has.length(64);
      server.kill('SIGTERM');
      expect(await once(server, 'exit')).to.deep.equal([0, null]);
    } finally {
      for (const checkpoint of checkpoints) checkpoint.remove();
    }
  });

  it('outlives a log that nobody reads and a want of files, and ends at once at a second signal', async () => {
    const { process: server, address } = await serve(
      ...['--model_path', join(MODELS, 'tiny-stories-draft'), '--log_level', 'info'],
    );
    const completes = async (more: object = {}): Promise<Response> =>
      post(address, '/v1/completions', { prompt: 'Once', max_tokens: 2, ...more });
    server.stderr?.destroy();
    // Of each the log has a line.
    for (let i = 0; i < 3; i++) expect((await completes({ prompt: [] })).status).to.equal(400);
    const limit = spawnSync('prlimit', ['--nofile=64:64', '--pid', String(server.pid)]);
    if (limit.status === 0) {
      const sockets = Array.from({ length: 200 }, () => connect(Number(new URL(address).port), '127.0.0.1'));
      const tried = (socket: Socket) =>
        new Promise((resolve) => socket.on('connect', resolve).on('error', resolve));
      await Promise.all(sockets.map(tried));
      for (const socket of sockets) socket.destroy();
    }
    expect((await completes()).status).to.equal(200);
    const running = await completes({ max_tokens: 400, ignore_eos: true, stream: true });
    const ended = once(server, 'exit');
    server.kill('SIGTERM');
    while ((await fetch(`${address}/health/ready`).catch(() => undefined))?.status === 200);
    // Of another kind than the first: Ctrl-C behind a supervisor's.
    server.kill('SIGINT');
    expect(await ended).to.deep.equal([130, null]);
    expect(await running.text().catch((error: unknown) => error)).to.be.instanceOf(Error);
  });

  it('refuses an address that others reach without a key, and a port that is taken', async () => {
    const model = ['--model_path', join(MODELS, 'tiny-stories-draft')];
    const failed = async (...args: readonly string[]): Promise<string> =>
      serve(...model, ...args).then(
        ({ process: server }) => {
          server.kill('SIGKILL');
          return 'started';
        },
        (error: unknown) => String(error),
      );
    expect(await failed('--host', '0.0.0.0')).to.contain('--api_key must be given');
    expect(await failed('--api_key', '')).to.contain('--api_key must be followed by a value');
    expect(await failed('--model', 'nothing')).to.contain('--model must be name=DIR');
    expect(await failed('--use', 'talk')).to.contain('--use must be [name=]generate|embed|rank');
    const { process: server, address } = await serve(...model);
    try {
      const taken = await failed('--port', new URL(address).port);
      expect(taken).to.match(/SERVER_FAILED: no server at 127.0.0.1/);
    } finally {
      server.kill('SIGKILL');
    }
  });
});
