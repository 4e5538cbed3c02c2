import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadReport } from '../../dist/src/cli/bench-serve/load-report.js';
import { runLoad } from '../../dist/src/cli/bench-serve/run-load.js';
import { type PlannedRequest, planWorkload, WORDS } from '../../dist/src/cli/bench-serve/workload.js';
import { writeCheckpoint, writeTokenizer } from './checkpoints.js';
import { EngineProcess, newOurs, type PeerCommands } from './driver.js';
import { Flags } from './flags.js';
import { type GgufFormat, writeGguf } from './gguf.js';
import { RandomPool } from './random-pool.js';
import { median } from './results.js';

/** The peer's file of as many bits. */
const GGUF: Readonly<Record<string, GgufFormat>> = { w8a16: 'q8_0', w8a8_dynamic: 'q8_0', w4a16: 'q4_0' };
const ROOT = join(import.meta.dirname, '../..');
/** Steps of the raw rate, after the prompts of 16 tokens that the driver gives them. */
const RAW_STEPS = 48;
/** Tokens of the prompts whose rate is the raw one, and how many of them are read. */
const [RAW_PROMPT, RAW_PROMPTS] = [512, 4];

const flags = new Flags('throughput');
const shape = flags.shape('shape');
const formats = flags.list('quantize').map((format) => flags.choice('quantize', format, Object.keys(GGUF)));
const [numRequests, streams, rounds] = ['requests', 'streams', 'rounds'].map((name) => flags.count(name)) as [
  number,
  number,
  number,
];
const shares = flags.counts('shared', 0);
const { threads } = flags;
const peerName = flags.choice('peer', flags.text('peer'), ['node-llama-cpp', 'none']);
const [promptWords, outputTokens] = [flags.range('prompt'), flags.range('output')];
const context = Math.max(...shares) + promptWords.max + outputTokens.max;

const planned = (sharedWords: number, round: number): PlannedRequest[] =>
  planWorkload({
    ...{ requests: numRequests, rate: Number.POSITIVE_INFINITY, promptWords, outputTokens },
    ...{ sharedWords, seed: round },
  });

/** The server as users start it. */
async function ours(dir: string, quantize: string): Promise<{ baseUrl: string; stop(): Promise<unknown> }> {
  const server = spawn(process.execPath, [
    ...[join(ROOT, 'scripts/atb-models.mjs'), 'serve', '--model_path', dir, '--quantize', quantize],
    ...[
      '--threads',
      String(threads),
      '--max_num_seqs',
      String(streams),
      '--max_waiting',
      String(numRequests),
    ],
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

/** Tokens a second of the engine that does one thing at a time: reads a prompt, or decodes all sequences. */
interface RawRates {
  readonly prompts: number;
  readonly answers: number;
}

async function rawRates(dir: string, quantize: string): Promise<RawRates> {
  const engine = newOurs();
  try {
    const options = { model: dir, threads, context: RAW_PROMPT + 1, sequences: streams, quantize };
    await engine.call('load', options);
    const prompts: number[] = [];
    for (let i = 0; i < RAW_PROMPTS; i++) prompts.push(await engine.call('prefill', { tokens: RAW_PROMPT }));
    const steps = await engine.call('batch', { batch: streams, steps: RAW_STEPS });
    return {
      prompts: (1000 * RAW_PROMPT) / median(prompts.slice(1)),
      answers: (1000 * streams) / median(steps.slice(8)),
    };
  } finally {
    await engine.stop();
  }
}

const show = (what: string, values: readonly number[], unit: string): void =>
  console.log(
    `${what.padEnd(48)} ${median(values).toFixed(2)}${unit}  (${values.map((value) => value.toFixed(2)).join(', ')})`,
  );

/** One format: a server and the peer, which answer the same rounds in turns. */
async function measure(dir: string, quantize: string, pool: RandomPool): Promise<void> {
  const raw = await rawRates(dir, quantize);
  const peer =
    peerName === 'none'
      ? undefined
      : new EngineProcess<PeerCommands>(new URL(`peer-${peerName}.js`, import.meta.url));
  const server = await ours(dir, quantize);
  try {
    if (peer) {
      const model = writeGguf(shape, GGUF[quantize] as GgufFormat, pool, folder);
      await peer.call('load', { model, threads, context: 256, sequences: streams });
    }
    for (const shared of shares) await measureRounds(dir, quantize, shared, raw, server.baseUrl, peer);
  } finally {
    await server.stop();
    await peer?.stop();
  }
}

async function measureRounds(
  dir: string,
  quantize: string,
  shared: number,
  raw: RawRates,
  baseUrl: string,
  peer: EngineProcess<PeerCommands> | undefined,
): Promise<void> {
  const figures = {
    requests: [] as number[],
    tokens: [] as number[],
    apart: [] as number[],
    peers: [] as number[],
  };
  for (let round = 1; round <= rounds; round++) {
    const requests = planned(shared, round);
    const target = { baseUrl, model: dir, isChat: false, apiKey: undefined, timeoutMs: 3_600_000 };
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
    const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
    const apart =
      sum(works.map(({ prompt }) => prompt.length)) / raw.prompts +
      sum(works.map(({ newTokens }) => newTokens)) / raw.answers;
    figures.apart.push((apart * report.requestsPerSecond) / works.length);
    if (ms !== undefined) figures.peers.push((1000 * works.length) / ms);
    const beside = ms === undefined ? '' : `; ${peerName} ${figures.peers.at(-1)?.toFixed(2)}`;
    console.error(
      `${quantize}, ${shared} shared, round ${round}: ${report.requestsPerSecond.toFixed(2)} requests/s${beside}`,
    );
  }
  const [prompts, outputs] = ['prompt', 'output'].map((name) => flags.text(name));
  console.log(
    `${shape.name} ${quantize}: ${numRequests} requests, prompts ${prompts}, outputs ${outputs}, ${shared} shared, ${streams} at once, ${threads} threads`,
  );
  show('requests', figures.requests, ' /s');
  show('output tokens', figures.tokens, ' /s');
  show(
    `of ${raw.answers.toFixed(1)} tokens/s that ${streams} sequences decode`,
    figures.tokens.map((value) => (100 * value) / raw.answers),
    ' %',
  );
  // Behind common words prompts are not read whole.
  if (shared === 0)
    show(
      `prompts at ${raw.prompts.toFixed(1)} tokens/s and answers apart`,
      figures.apart.map((share) => 100 * share),
      ' %',
    );
  if (peer) {
    show(`requests of ${peerName}`, figures.peers, ' /s');
    show(
      'ratio',
      figures.requests.map((value, round) => value / (figures.peers[round] as number)),
      ' x',
    );
  }
}

const folder = flags.text('folder') || mkdtempSync(join(tmpdir(), 'atb-bench-'));
try {
  const pool = new RandomPool();
  const dir = writeCheckpoint(shape, pool, folder);
  writeTokenizer(shape, WORDS, dir);
  for (const quantize of formats) await measure(dir, quantize, pool);
} finally {
  if (flags.text('folder') === '') rmSync(folder, { recursive: true, force: true });
}
