// What the server does under load, with clients in a process of their own: the delay of its event loop at 32 running
// streams, then ten times as many requests as it admits. After `npm run build:js`.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseFlags } from '../../scripts/flags.mjs';

const STREAMS = 32;
const body = { prompt: 'Once', max_tokens: 200, ignore_eos: true, stream: true };

// With an address and a number it is the clients' process.
const {
  positionals: [server, requests],
} = parseFlags('node tools/server-load/load.mjs', {}, true);
if (server === undefined) await serve();
else await ask(server, Number(requests));

async function serve() {
  const { serveTiny } = await import('../../dist/test/server/served.js');
  const { address, stop } = await serveTiny({ maxWaiting: 0 }, { maxNumSeqs: STREAMS });
  const run = async (count) => {
    const delay = monitorEventLoopDelay({ resolution: 1 });
    const client = fork(fileURLToPath(import.meta.url), [address, String(count)]);
    delay.enable();
    const [answers] = await once(client, 'message');
    delay.disable();
    const [p50, p99] = [50, 99].map((p) => delay.percentile(p) / 1e6);
    return { ...answers, eventLoopMs: { p50, p99 }, rssMiB: Math.round(process.memoryUsage.rss() / 2 ** 20) };
  };
  await run(STREAMS);
  console.log(JSON.stringify({ running: await run(STREAMS), overload: await run(10 * STREAMS) }, null, 2));
  await stop();
}

async function ask(address, count) {
  const answers = await Promise.all(
    Array.from({ length: count }, async (_, i) => {
      // One each other millisecond: what a burst takes to be sent would be the client's time.
      await setTimeout(2 * i);
      const started = performance.now();
      const headers = { 'content-type': 'application/json' };
      const answer = await fetch(`${address}/v1/completions`, { method: 'POST', headers, body: JSON.stringify(body) });
      await answer.text();
      return { status: answer.status, ms: performance.now() - started };
    }),
  );
  const figures = (status) => {
    const times = answers.filter((answer) => answer.status === status).map(({ ms }) => ms).sort((a, b) => a - b);
    return { count: times.length, p50Ms: times[times.length >> 1], mostMs: times.at(-1) };
  };
  process.send({ admitted: figures(200), refused: figures(429) }, () => process.exit());
}
