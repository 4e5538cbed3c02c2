import { fork } from 'node:child_process';
import { createReadStream, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { drawChart } from './chart.js';
import { type GgufFormat, writeCheckpoint, writeGguf } from './checkpoints.js';
import { EngineProcess } from './driver.js';
import { machineLimits } from './limits.js';
import { RandomPool } from './random-pool.js';
import { median, type Row, Sample, table } from './results.js';
import { type ModelShape, parameterCounts, SHAPES } from './shapes.js';

const ROOT = join(import.meta.dirname, '../..');
const { values: flags } = parseArgs({
  options: {
    suite: { type: 'string', default: 'quick' },
    peer: { type: 'string', default: 'none' },
    json: { type: 'string' },
    svg: { type: 'string' },
    threads: { type: 'string', default: String(availableParallelism()) },
    models: { type: 'string' },
    only: { type: 'string' },
    folder: { type: 'string' },
  },
});
const THREADS = Number(flags.threads);
const FULL = flags.suite === 'full';
const ROUNDS = FULL ? 5 : 3;

if (!['quick', 'full'].includes(flags.suite))
  throw new Error(`--suite is quick or full, found ${flags.suite}`);
if (!['none', 'node-llama-cpp'].includes(flags.peer))
  throw new Error(`--peer is node-llama-cpp, found ${flags.peer}`);

/** One model in one number format, as both engines hold it. */
interface Subject {
  readonly shape: ModelShape;
  readonly format: GgufFormat;
  /** Our option that gives as many bits. */
  readonly quantize: string | undefined;
}

const QUANTIZE: Readonly<Record<GgufFormat, string | undefined>> = {
  bf16: undefined,
  q8_0: 'w8a16',
  q4_0: 'w4a16',
};
const subject = (name: string, format: GgufFormat): Subject => ({
  shape: SHAPES[name] as ModelShape,
  format,
  quantize: QUANTIZE[format],
});

/** Bytes of weights that one token reads, by our formats. */
function weightBytes({ shape, format }: Subject): number {
  const { layers, embedding } = parameterCounts(shape);
  const bits = { bf16: [16, 16], q8_0: [8, 8], q4_0: [4.5, 8] }[format] as [number, number];
  return (layers * bits[0] + embedding * bits[1]) / 8;
}

const kvBytesPerToken = ({ layers, kvHeads, headDim }: ModelShape): number =>
  layers * kvHeads * headDim * 2 * 2;

const rows: Row[] = [];
const log = (text: string) => process.stderr.write(`${text}\n`);

async function measureSubject(s: Subject, pool: RandomPool, folder: string): Promise<void> {
  const name = `${s.shape.name} ${s.format}`;
  log(`${name}: checkpoints`);
  const checkpoint = writeCheckpoint(s.shape, pool, folder);
  const gguf = flags.peer === 'none' ? undefined : writeGguf(s.shape, s.format, pool, folder);
  const sequences = 32;
  const depth = s.shape.name === 'q05' ? 8192 : 2048;
  const context = depth + 4096;
  const ours = new EngineProcess(new URL('./ours.js', import.meta.url));
  const peer = gguf ? new EngineProcess(new URL('./peer-node-llama-cpp.js', import.meta.url)) : undefined;
  const engines = peer ? [ours, peer] : [ours];

  /** Runs a measurement on each engine in turn, `rounds` times. */
  const interleaved = async (
    what: string,
    rounds: number,
    measure: (engine: EngineProcess) => Promise<number>,
  ): Promise<Sample> => {
    log(`${name}: ${what}`);
    const times: [number[], number[]] = [[], []];
    for (let round = 0; round < rounds; round++)
      for (const [i, engine] of engines.entries()) (times[i] as number[]).push(await measure(engine));
    return new Sample(times[0], peer ? times[1] : undefined);
  };
  const add = (what: string, unit: string, sample: Sample, bound?: number) =>
    rows.push({ model: name, what, unit, sample, bound });

  try {
    log(`${name}: load`);
    const models = [checkpoint, gguf as string];
    const loads: number[] = [];
    for (const [i, engine] of engines.entries()) {
      await warmPageCache(models[i] as string);
      loads.push(
        await engine.call('load', {
          model: models[i] as string,
          threads: THREADS,
          context,
          sequences,
          ...(s.quantize !== undefined && { quantize: s.quantize }),
        }),
      );
    }
    const memories: number[] = [];
    for (const engine of engines) memories.push(await engine.call('rss'));
    add(
      'load, page cache warm',
      'ms',
      new Sample([loads[0] as number], peer && [loads[1] as number], 'less'),
    );
    add(
      'resident memory, loaded',
      'MB',
      new Sample([(memories[0] as number) / 1e6], peer && [(memories[1] as number) / 1e6], 'less'),
    );

    const { layers } = parameterCounts(s.shape);
    const rate = (tokens: number) => (ms: number) => (tokens * 1000) / ms;
    const prefill = await interleaved('prefill 512', ROUNDS, (engine) =>
      engine.call('prefill', { tokens: 512 }),
    );
    const limits = machineLimits(THREADS);
    const flops = 2 * layers;
    add('prefill 512', 'tokens/s', prefill.map(rate(512)), limits.tileFlops / flops);

    const decode = await interleaved('decode', ROUNDS, async (engine) =>
      median(await engine.call('decode', { depth: 0, steps: 12 })),
    );
    add('decode', 'tokens/s', decode.map(rate(1)), limits.readBytesPerSecond / weightBytes(s));

    if (s.format === 'q4_0') {
      const deep = await interleaved(`decode at depth ${depth}`, ROUNDS, async (engine) =>
        median(await engine.call('decode', { depth, steps: 8 })),
      );
      const bytes = weightBytes(s) + depth * kvBytesPerToken(s.shape);
      add(`decode at depth ${depth}`, 'tokens/s', deep.map(rate(1)), limits.readBytesPerSecond / bytes);
    }
    if (s.shape.name === 'l1') {
      for (const batch of [8, 16, 32]) {
        const steps = await interleaved(`batch ${batch}`, FULL ? 3 : 1, async (engine) =>
          median(await engine.call('batch', { batch, steps: 6 })),
        );
        const bound = Math.min(
          (batch * limits.readBytesPerSecond) / weightBytes(s),
          limits.tileFlops / (2 * (layers + parameterCounts(s.shape).embedding)),
        );
        add(`decode, batch ${batch}`, 'tokens/s', steps.map(rate(batch)), bound);
      }
    }
    if (s.format === 'bf16' && s.shape.name === 'l1') {
      const long: number[] = [];
      for (let i = 0; i < (FULL ? 3 : 1); i++) long.push(await ours.call('prefill', { tokens: 2048 }));
      add('prefill 2048', 'tokens/s', new Sample(long.map(rate(2048))), prefill.map(rate(512)).ours.median);
      await measureStolenCore(ours, name);
    }
  } finally {
    for (const engine of engines) await engine.stop();
  }
}

/** Reads a model's file once, so that loading it does not measure the disk. */
async function warmPageCache(model: string): Promise<void> {
  const file = statSync(model).isDirectory() ? join(model, 'model.safetensors') : model;
  for await (const _ of createReadStream(file, { highWaterMark: 1 << 22 }));
}

/** Decode speed while another process uses up one core. */
async function measureStolenCore(ours: EngineProcess, model: string): Promise<void> {
  const decode = async () => median(await ours.call('decode', { depth: 0, steps: 12 }));
  const alone = await decode();
  const thief = fork(new URL('./busy-core.js', import.meta.url));
  await new Promise((resolve) => setTimeout(resolve, 300));
  const contended = await decode();
  thief.kill();
  rows.push({
    model,
    what: 'decode, one core taken away',
    unit: 'x slower',
    sample: new Sample([contended / alone], undefined, 'less'),
  });
}

const subjects = FULL
  ? [
      subject('q05', 'bf16'),
      subject('q05', 'q8_0'),
      subject('q05', 'q4_0'),
      subject('l1', 'bf16'),
      subject('l1', 'q8_0'),
      subject('l1', 'q4_0'),
    ]
  : [subject('q05', 'bf16'), subject('l1', 'bf16'), subject('l1', 'q8_0'), subject('l1', 'q4_0')];

const folder = flags.folder ?? mkdtempSync(join(tmpdir(), 'atb-bench-'));
try {
  const pool = new RandomPool();
  for (const s of subjects)
    if (!flags.only || `${s.shape.name}-${s.format}`.includes(flags.only))
      await measureSubject(s, pool, folder);
} finally {
  if (!flags.folder) rmSync(folder, { recursive: true, force: true });
}
const limits = machineLimits(THREADS);
const machine = `${cpus()[0]?.model.trim()}, ${THREADS} threads; streamed read ${(limits.readBytesPerSecond / 1e9).toFixed(1)} GB/s, matrix tiles ${(limits.tileFlops / 1e9).toFixed(0)} GFLOP/s`;
const peerVersion =
  flags.peer === 'none'
    ? 'no peer'
    : `node-llama-cpp ${JSON.parse(readFileSync(join(ROOT, 'bench/package.json'), 'utf8')).dependencies['node-llama-cpp']}`;
console.log(`${machine}\n${peerVersion}; medians of ${ROUNDS} interleaved rounds\n`);
console.log(table(rows));
if (flags.json) writeFileSync(flags.json, JSON.stringify({ machine, peer: peerVersion, rows }, null, 2));
if (flags.svg) writeFileSync(flags.svg, drawChart(rows, `${machine}. ${peerVersion}.`));
