import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LLM } from '../../dist/src/index.js';
import { writeCheckpoint } from './checkpoints.js';
import { randomTokens } from './driver.js';
import { Flags } from './flags.js';
import { RandomPool } from './random-pool.js';
import { median } from './results.js';

const flags = new Flags('serving');
const shape = flags.shape('shape');
const [numStreams, promptLen] = [flags.count('streams'), flags.count('prompt')];
const quantize = flags.text('quantize');
if (quantize !== '') flags.choice('quantize', quantize, ['w8a16', 'w8a8_dynamic', 'w4a16']);

/** Streams go on for longer than they are watched. */
const STREAM_LEN = 4096;

const percentile = (values: readonly number[], share: number): number =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(share * values.length))] ??
  Number.NaN;

const line = (what: string, ...figures: readonly (readonly [string, number, string])[]): void =>
  console.log(
    [what.padEnd(44), ...figures.map(([name, value, unit]) => `${name} ${value.toFixed(1)}${unit}`)].join(
      '  ',
    ),
  );

/** Every gap between two tokens of streams that never end, from one call of `cut` to the next. */
class Streams {
  readonly #aborter = new AbortController();
  #gaps: number[] = [];

  constructor(llm: LLM, count: number) {
    for (let i = 0; i < count; i++) void this.#run(llm, i);
  }

  async #run(llm: LLM, index: number): Promise<void> {
    const prompt = randomTokens(64, shape.vocab, index + 1);
    let last: number | undefined;
    try {
      const { signal } = this.#aborter;
      for await (const _ of llm.stream(prompt, { signal, ignoreEos: true, temperature: 0 })) {
        const now = performance.now();
        if (last !== undefined) this.#gaps.push(now - last);
        last = now;
      }
    } catch {
      // It was aborted, as it must be.
    }
  }

  cut(): number[] {
    return this.#gaps.splice(0);
  }

  end(): void {
    this.#aborter.abort();
  }
}

async function interTokenLatency(llm: LLM): Promise<void> {
  const streams = new Streams(llm, numStreams);
  const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
  // Memory plans for mixed steps, and the first measurements of what a prompt token costs.
  await wait(1000);
  await llm.generate(randomTokens(512, shape.vocab, 999), { maxTokens: 1 });
  const [alone, beside]: [number[], number[]] = [[], []];
  for (let round = 0; round < 3; round++) {
    streams.cut();
    await wait(5000);
    alone.push(...streams.cut());
    await llm.generate(randomTokens(promptLen, shape.vocab, 1000 + round), { maxTokens: 1 });
    beside.push(...streams.cut());
  }
  streams.end();
  const figures = (gaps: readonly number[]) =>
    [
      ['p50', percentile(gaps, 0.5), ' ms'],
      ['p99', percentile(gaps, 0.99), ' ms'],
      ['gaps', gaps.length, ''],
    ] as const;
  line(`${numStreams} streams alone`, ...figures(alone));
  line(`while a prompt of ${promptLen} is prefilled`, ...figures(beside));
  line(
    'rise',
    ['p50', percentile(beside, 0.5) / percentile(alone, 0.5), 'x'],
    ['p99', percentile(beside, 0.99) / percentile(alone, 0.99), 'x'],
  );
}

async function firstToken(llm: LLM): Promise<void> {
  const [cold, warm]: [number[], number[]] = [[], []];
  for (let round = 0; round < 5; round++) {
    const system = randomTokens(1024, shape.vocab, 2000 + round);
    for (const [times, tail] of [
      [cold, 1],
      [warm, 2],
    ] as const) {
      const prompt = [...system, ...randomTokens(16, shape.vocab, 10 * round + tail)];
      times.push((await llm.generate(prompt, { maxTokens: 1 })).ttftMs);
    }
  }
  line(
    'first token after a beginning of 1024',
    ['new', median(cold), ' ms'],
    ['again', median(warm), ' ms'],
    ['ratio', median(cold) / median(warm), 'x'],
  );
}

const folder = flags.text('folder') || mkdtempSync(join(tmpdir(), 'atb-bench-'));
try {
  const dir = writeCheckpoint(shape, new RandomPool(), folder);
  const llm = await LLM.load(dir, {
    loadTokenizer: false,
    maxNumSeqs: numStreams + 1,
    maxModelLen: Math.max(2 * promptLen, STREAM_LEN),
    ...(quantize !== '' && { quantize: quantize as 'w8a16' }),
  });
  try {
    await firstToken(llm);
    await interTokenLatency(llm);
  } finally {
    await llm.dispose();
  }
} finally {
  if (flags.text('folder') === '') rmSync(folder, { recursive: true, force: true });
}
