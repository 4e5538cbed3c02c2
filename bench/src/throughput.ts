import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { loadReport } from '../../dist/src/cli/bench-serve/load-report.js';
import { runLoad } from '../../dist/src/cli/bench-serve/run-load.js';
import { type PlannedRequest, planWorkload, WORDS } from '../../dist/src/cli/bench-serve/workload.js';
import { type GgufFormat, writeCheckpoint, writeGguf, writeTokenizer } from './checkpoints.js';
import { EngineProcess, type OurCommands, type PeerCommands } from './driver.js';
import { RandomPool } from './random-pool.js';
import { median } from './results.js';
import { type ModelShape, SHAPES } from './shapes.js';

/**
 * Requests a second, as a server of ours answers those of `bench-serve`, and as node-llama-cpp answers as many of the same
 * lengths by its own batching, in turns: `npm run bench -- throughput [--shape l1] [--quantize w8a16|w4a16] [--requests 64]
 * [--prompt 32-512] [--output 32-128] [--shared 0] [--streams 32] [--rounds 3] [--peer node-llama-cpp|none] [--folder DIR]`.
 * Beside them stands what the engine itself decodes of as many sequences, without prompts.
 */
const { values: flags } = parseArgs({
  args: process.argv.slice(2),
  options: {
    shape: { type: 'string', default: 'l1' },
    quantize: { type: 'string', default: 'w8a16' },
    requests: { type: 'string', default: '64' },
    prompt: { type: 'string', default: '32-512' },
    output: { type: 'string', default: '32-128' },
    /** Words with which all prompts begin. */
    shared: { type: 'string', default: '0' },
    streams: { type: 'string', default: '32' },
    rounds: { type: 'string', default: '3' },
    peer: { type: 'string', default: 'node-llama-cpp' },
    threads: { type: 'string', default: String(availableParallelism()) },
    /** Where checkpoints lie, to be used again; a temporary folder when absent. */
    folder: { type: 'string' },
  },
});
/** The peer's file of as many bits. */
const GGUF: Readonly<Record<string, GgufFormat>> = { w8a16: 'q8_0', w4a16: 'q4_0' };
const ROOT = join(import.meta.dirname, '../..');
/** Tokens of a step of the raw rate, after the prompts of 16 tokens that the driver gives them. */
const RAW_STEPS = 48;

const shape = SHAPES[flags.shape] as ModelShape;
const [threads, streams, shared] = [flags.threads, flags.streams, flags.shared].map(Number) as [
  number,
  number,
  number,
];
const range = (text: string) => {
  const [min = 0, max = min] = text.split('-').map(Number);
  return { min, max };
};
const [promptWords, outputTokens] = [range(flags.prompt), range(flags.output)];
const context = shared + promptWords.max + outputTokens.max;

const planned = (round: number): PlannedRequest[] =>
  planWorkload({
    ...{ requests: Number(flags.requests), rate: Number.POSITIVE_INFINITY, promptWords, outputTokens },
    ...{ sharedWords: shared, seed: round },
  });

/** The server as users start it. */
async function ours(dir: string): Promise<{ baseUrl: string; stop(): Promise<unknown> }> {
  const server = spawn(process.execPath, [
    ...[join(ROOT, 'scripts/atb-models.mjs'), 'serve', '--model_path', dir, '--quantize', flags.quantize],
    ...['--threads', String(threads), '--max_num_seqs', String(streams), '--max_waiting', flags.requests],
    ...['--max_model_len', String(context + 1), '--port', '0', '--log_level', 'fatal', '--no-page'],
  ]);
  let said = '';
  for await (const piece of server.stderr.iterator({ destroyOnReturn: false })) {
    said += String(piece);
    const [, address] = / at (http:\S+)/.exec(said) ?? [];
    if (address === undefined) continue;
    const stop = (): Promise<unknown> => {
      const ended = once(server, 'exit');
      server.kill('SIGTERM');
      return ended;
    };
    return { baseUrl: `${address}/v1`, stop };
  }
  throw new Error(said);
}

/** Tokens a second of so many sequences that only decode. */
async function rawRate(dir: string): Promise<number> {
  const engine = new EngineProcess<OurCommands>(new URL('ours.js', import.meta.url));
  try {
    const options = { model: dir, threads, context: 256, sequences: streams, quantize: flags.quantize };
    await engine.call('load', options);
    const times = await engine.call('batch', { batch: streams, steps: RAW_STEPS });
    return (1000 * streams) / median(times.slice(8));
  } finally {
    await engine.stop();
  }
}

const show = (what: string, values: readonly number[], unit: string): void =>
  console.log(
    `${what.padEnd(48)} ${median(values).toFixed(2)}${unit}  (${values.map((value) => value.toFixed(2)).join(', ')})`,
  );

const folder = flags.folder ?? mkdtempSync(join(tmpdir(), 'atb-bench-'));
const peer =
  flags.peer === 'none'
    ? undefined
    : new EngineProcess<PeerCommands>(new URL(`peer-${flags.peer}.js`, import.meta.url));
try {
  const pool = new RandomPool();
  const dir = writeCheckpoint(shape, pool, folder);
  writeTokenizer(shape, WORDS, dir);
  const raw = await rawRate(dir);
  const server = await ours(dir);
  if (peer) {
    const model = writeGguf(shape, GGUF[flags.quantize] as GgufFormat, pool, folder);
    await peer.call('load', { model, threads, context: 256, sequences: streams });
  }
  const figures = { requests: [] as number[], tokens: [] as number[], peers: [] as number[] };
  for (let round = 1; round <= Number(flags.rounds); round++) {
    const requests = planned(round);
    const target = {
      baseUrl: server.baseUrl,
      model: dir,
      isChat: false,
      apiKey: undefined,
      timeoutMs: 3_600_000,
    };
    const report = loadReport(dir, await runLoad(target, requests, () => {}));
    if (report.succeeded < requests.length) throw new Error(JSON.stringify(report.failures));
    figures.requests.push(report.requestsPerSecond);
    figures.tokens.push(report.outputTokensPerSecond);
    const works = requests.map(({ prompt, maxTokens }) => ({
      prompt: prompt.split(' ').map((word) => 3 + WORDS.indexOf(word)),
      newTokens: maxTokens,
    }));
    const ms = await peer?.call('requests', {
      works,
      sequences: Math.min(streams, works.length),
      context: context + 8,
    });
    if (ms !== undefined) figures.peers.push((1000 * works.length) / ms);
    console.error(
      `round ${round}: ${figures.requests.at(-1)} requests/s; ${flags.peer} ${figures.peers.at(-1)}`,
    );
  }
  await server.stop();
  console.log(
    `${shape.name} ${flags.quantize}: ${flags.requests} requests, prompts ${flags.prompt}, outputs ${flags.output}, ${shared} shared, ${streams} at once, ${threads} threads`,
  );
  show('requests', figures.requests, ' /s');
  show('output tokens', figures.tokens, ' /s');
  show(
    `of ${raw.toFixed(1)} tokens/s that ${streams} sequences decode`,
    figures.tokens.map((value) => (100 * value) / raw),
    ' %',
  );
  if (peer) {
    show(`requests of ${flags.peer}`, figures.peers, ' /s');
    show(
      'ratio',
      figures.requests.map((value, round) => value / (figures.peers[round] as number)),
      ' x',
    );
  }
} finally {
  await peer?.stop();
  if (!flags.folder) rmSync(folder, { recursive: true, force: true });
}
