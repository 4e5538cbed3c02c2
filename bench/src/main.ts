import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { availableIsas } from '../../dist/src/index.js';
import { drawChart } from './chart.js';
import { benchDrafts } from './drafts.js';
import { benchExperts } from './experts.js';
import { benchFamilies, type SuiteResults, type SuiteSettings } from './families.js';
import { Flags } from './flags.js';
import { benchLatent } from './latent.js';
import { type Subject, SubjectBench } from './measure.js';
import { benchMedia } from './media.js';
import { findPeer, PEERS } from './peers.js';
import { RandomPool } from './random-pool.js';
import { type Row, table } from './results.js';
import { type Format, type ModelShape, SHAPES } from './shapes.js';

/** Suites that measure something else than one model in one format. */
const SUITES: Readonly<
  Record<string, { beside: string; run(settings: SuiteSettings): Promise<SuiteResults> }>
> = {
  families: { beside: 'peer: Llama, as wide, on the same engine', run: benchFamilies },
  drafts: {
    beside: 'peer: the same without guesses',
    run: async (settings) => ({ rows: await benchDrafts(settings), failures: [] }),
  },
  latent: {
    beside: 'no peer',
    run: async (settings) => ({ rows: await benchLatent(settings), failures: [] }),
  },
  experts: {
    beside: 'peer: the same weights in node-llama-cpp, where --peer names it',
    run: async (settings) => ({ rows: await benchExperts(settings), failures: [] }),
  },
  media: {
    beside: 'peer: transformers in bf16, where --peer names its Python',
    run: async (settings) => ({ rows: await benchMedia(settings), failures: [] }),
  },
};
const flags = new Flags('main');
const { threads } = flags;
const [suite, wanted, only] = ['suite', 'peer', 'only'].map((name) => flags.text(name)) as [
  string,
  string,
  string,
];
const full = suite === 'full';
const own = SUITES[suite];
const rounds = full ? 5 : 3;

if (own === undefined) flags.choice('suite', suite, ['quick', 'full', ...Object.keys(SUITES)]);
const python = suite === 'media' ? /^transformers=(.+)/.exec(wanted)?.[1] : undefined;
const peer = findPeer(wanted);
if (wanted !== 'none' && peer === undefined && python === undefined)
  throw new Error(
    `--peer is ${PEERS.join(', ')}, or transformers=PYTHON with --suite media; found ${wanted}`,
  );

const l1 = SHAPES.l1 as ModelShape;
const q05 = SHAPES.q05 as ModelShape;
const batches = [8, 16, 32];
const isas = availableIsas().filter((isa, i) => i > 0 && isa !== 'reference');
const all: Subject[] = [
  { shape: q05, format: 'bf16', thorough: full, isas },
  ...(full ? [{ shape: q05, format: 'w8a16' as Format }] : []),
  { shape: q05, format: 'w4a16', depths: [8192], int8Depths: [8192], isas },
  { shape: l1, format: 'bf16', batches, thorough: true },
  { shape: l1, format: 'w8a16', batches },
  { shape: l1, format: 'w8a8_dynamic', batches },
  { shape: l1, format: 'w4a16', depths: full ? [2048, 8192] : [2048], batches },
  ...(full ? [{ shape: l1, format: 'w4a8_dynamic' as Format, batches }] : []),
];
const nameOf = ({ shape, format }: Subject) => `${shape.name}-${format}`;
const subjects = own === undefined ? all.filter((subject) => nameOf(subject).includes(only)) : [];
if (subjects.length === 0 && own === undefined)
  throw new Error(`--only is a part of one of ${all.map(nameOf).join(', ')}; found ${only}`);

const folder = flags.text('folder') || mkdtempSync(join(tmpdir(), 'atb-bench-'));
const rows: Row[] = [];
const limits = { readBytesPerSecond: [] as number[], flops: [] as number[], others: [] as number[] };
try {
  const pool = new RandomPool();
  const log = (text: string) => process.stderr.write(`${text}\n`);
  if (own) {
    const results = await own.run({
      threads,
      rounds,
      folder,
      pool,
      log,
      only,
      peer: python,
      llamaCpp: wanted === 'node-llama-cpp' ? peer : undefined,
    });
    rows.push(...results.rows);
    for (const { name, error } of results.failures) log(`${name} failed: ${inspect(error)}`);
    if (results.failures.length > 0) process.exitCode = 1;
  }
  for (const subject of subjects) {
    const bench = new SubjectBench(subject, {
      threads,
      peer,
      rounds,
      folder,
      pool,
      log,
    });
    await bench.run();
    rows.push(...bench.rows);
    limits.readBytesPerSecond.push(bench.limits.readBytesPerSecond / 1e9);
    limits.flops.push(bench.limits.flops / 1e9);
    limits.others.push(...bench.others.map((share) => 100 * share));
  }
} finally {
  if (flags.text('folder') === '') rmSync(folder, { recursive: true, force: true });
}
const range = (values: readonly number[]) =>
  `${Math.min(...values).toFixed(0)}-${Math.max(...values).toFixed(0)}`;
const measured = own
  ? ''
  : `; streamed read ${range(limits.readBytesPerSecond)} GB/s, matrix products ${range(limits.flops)} GFLOP/s, other programs ${range(limits.others)} % of the processor`;
const machine = `${cpus()[0]?.model.trim()}, ${threads} threads${measured}`;
const beside = own?.beside ?? peer?.name ?? 'no peer';
console.log(`${machine}\n${beside}; medians of ${rounds} interleaved rounds\n`);
console.log(table(rows));
const [json, svg] = [flags.text('json'), flags.text('svg')];
if (json !== '') writeFileSync(json, JSON.stringify({ machine, peer: beside, rows }, null, 2));
if (svg !== '') writeFileSync(svg, drawChart(rows, `${machine}. ${beside}.`));
