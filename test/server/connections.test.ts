import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { expect } from 'chai';
import Fastify from 'fastify';
import { EventStream } from '../../src/server/event-stream.js';
import { type Served, serveTiny } from './served.js';

describe('connections to the server', function () {
  this.timeout(120_000);
  let served: Served;
  const open = new Set<Socket>();
  beforeEach(async () => {
    // Two threads wait for each other in each step, which takes long where other programs have the cores.
    served = await serveTiny({}, { threads: 1 });
  });
  afterEach(async () => {
    for (const socket of open) socket.destroy();
    open.clear();
    await served.stop();
  });

  async function connected(): Promise<Socket> {
    const socket = connect(Number(new URL(served.address).port), '127.0.0.1');
    open.add(socket);
    socket.on('error', () => {});
    await once(socket, 'connect');
    return socket;
  }
  const complete = (more: object): string => {
    const body = JSON.stringify({ prompt: 'Once', ignore_eos: true, ...more });
    const head = ['POST /v1/completions HTTP/1.1', 'Host: localhost', 'Content-Type: application/json'];
    return [...head, `Content-Length: ${body.length}`, '', body].join('\r\n');
  };
  /** A client that does as it should gets its answer, before the test takes too long. */
  async function expectServed(): Promise<void> {
    const answer = await fetch(`${served.address}/v1/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ prompt: 'Once', max_tokens: 4, ignore_eos: true }),
    });
    expect(await answer.json()).to.have.nested.property('usage.completion_tokens', 4);
  }

  it('may be a thousand that say nothing', async () => {
    await Promise.all(Array.from({ length: 1000 }, connected));
    await expectServed();
  });

  it('may send requests before the answers to those before, and get all in their order', async () => {
    const socket = await connected();
    let received = '';
    socket.on('data', (data) => {
      received += String(data);
    });
    const counts = [5, 1, 3, 2];
    socket.write(counts.map((max_tokens) => complete({ max_tokens })).join(''));
    const found = (): string[] => received.match(/"completion_tokens":\d+/g) ?? [];
    while (found().length < counts.length) await once(socket, 'data');
    expect(found()).to.deep.equal(counts.map((count) => `"completion_tokens":${count}`));
  });

  it('end when headers come too slowly, and keep nobody waiting until then', async () => {
    const sockets = await Promise.all(Array.from({ length: 50 }, connected));
    const started = performance.now();
    let isServed = false;
    const closed = sockets.map(async (socket) => {
      await once(socket.resume(), 'close');
      expect(isServed).to.equal(true);
    });
    for (const socket of sockets) socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n');
    const dripping = setInterval(() => {
      for (const socket of sockets) if (socket.writable) socket.write('X: 1\r\n');
    }, 500);
    await expectServed();
    isServed = true;
    await Promise.all(closed);
    clearInterval(dripping);
    expect(performance.now() - started).to.be.above(8000);
  });

  it('may be of readers that never read: each costs only its own request', async () => {
    const sockets = await Promise.all(Array.from({ length: 8 }, connected));
    for (const socket of sockets) {
      socket.pause();
      socket.write(complete({ max_tokens: 200, stream: true, n: 1 }));
    }
    await expectServed();
    while (served.llm.stats.running > 0) await new Promise((resolve) => setTimeout(resolve, 20));
    await expectServed();
  });

  // Exafunction/codeium#349, BYK/loreai#189
  it('hear of streams in which nothing comes that these are still there', async () => {
    const app = Fastify();
    let goOn = (): void => {};
    app.get('/', async (_, reply) => {
      const events = new EventStream(reply, 20);
      await events.send('a');
      await new Promise<void>((resolve) => {
        goOn = resolve;
      });
      await events.send('b');
      events.end();
    });
    const answer = await fetch(await app.listen({ port: 0, host: '127.0.0.1' }));
    let text = '';
    for await (const piece of answer.body ?? []) {
      text += Buffer.from(piece).toString();
      if (text.split('still here').length > 2) goOn();
    }
    await app.close();
    expect(text).to.match(/^data: a\n\n(?:: still here\n\n){2,}data: b\n\n$/);
  });
});
