import { fork } from 'node:child_process';
import { createReadStream, statSync } from 'node:fs';
import { join } from 'node:path';
import type { MachineLimits } from '../../dist/src/native/index.js';
import { writeCheckpoint } from './checkpoints.js';
import { type EngineProcess, type LoadOptions, newOurs } from './driver.js';
import { othersShare } from './others.js';
import type { Peer } from './peers.js';
import type { RandomPool } from './random-pool.js';
import { median, type Row, Sample } from './results.js';
import { CONTEXT, FORMATS, type Format, type ModelShape, parameterCounts } from './shapes.js';

/** One model in one number format, as both engines hold it, and what to measure of it. */
export interface Subject {
  readonly shape: ModelShape;
  readonly format: Format;
  /** Decode after so many tokens. */
  readonly depths?: readonly number[];
  /** The same with keys and values in int8; ours alone. */
  readonly int8Depths?: readonly number[];
  readonly batches?: readonly number[];
  /** What does not depend on the format much: a longer prompt, overheads, a stolen core, other kernel tables. */
  readonly thorough?: boolean;
  /** Kernel tables besides the best; ours alone. */
  readonly isas?: readonly string[];
}

export interface Settings {
  readonly threads: number;
  readonly peer: Peer | undefined;
  readonly rounds: number;
  readonly folder: string;
  readonly pool: RandomPool;
  readonly log: (text: string) => void;
}

const SEQUENCES = 32;
const rate = (tokens: number) => (ms: number) => (tokens * 1000) / ms;

/** Measures one subject, ours and the peer's engine in turn. */
export class SubjectBench {
  readonly rows: Row[] = [];
  /** What other programs took of the processor before each measurement, 0 to 1. */
  readonly others: number[] = [];
  readonly name: string;
  readonly #ours = newOurs();
  readonly #peer: EngineProcess | undefined;
  readonly #checkpoint: string;
  readonly #peerModel: string | undefined;
  readonly #parameters: { layers: number; embedding: number };
  /** As measured last. */
  limits: MachineLimits = { readBytesPerSecond: 0, flops: 0 };

  constructor(
    readonly subject: Subject,
    private readonly settings: Settings,
  ) {
    const { shape, format } = subject;
    const { folder, pool, log } = settings;
    const peer = settings.peer?.formats.includes(format) ? settings.peer : undefined;
    this.name = `${shape.name} ${format}`;
    log(`${this.name}: checkpoints`);
    this.#checkpoint = writeCheckpoint(shape, pool, folder);
    this.#peerModel = peer?.write(shape, format, pool, folder);
    this.#peer = peer?.start();
    this.#parameters = parameterCounts(shape);
  }

  async run(): Promise<void> {
    const { depths = [], int8Depths = [], batches = [], thorough = false, isas = [] } = this.subject;
    try {
      await this.#load();
      const short = await this.#prefill();
      if (thorough) await this.#longPrefill(short);
      await this.#decode(0);
      for (const depth of depths) await this.#decode(depth);
      for (const batch of batches) await this.#batch(batch);
      if (thorough) await this.#stolenCore();
      await this.#peakMemory();
    } finally {
      await Promise.all([this.#ours.stop(), this.#peer?.stop()]);
    }
    for (const depth of int8Depths) await this.#int8Depth(depth);
    for (const isa of isas) await this.#otherTable(isa);
    if (thorough) await this.#overhead();
  }

  get #engines(): EngineProcess[] {
    return this.#peer ? [this.#ours, this.#peer] : [this.#ours];
  }

  #loadOptions(depth: number) {
    const { quantize } = FORMATS[this.subject.format];
    const context = Math.min(depth + 4096, CONTEXT);
    return {
      model: this.#checkpoint,
      threads: this.settings.threads,
      context,
      sequences: SEQUENCES,
      ...(quantize !== undefined && { quantize }),
    };
  }

  /** Runs a measurement on each engine in turn, `rounds` times. */
  async #interleaved(
    what: string,
    rounds: number,
    measure: (engine: EngineProcess) => Promise<number>,
  ): Promise<Sample> {
    this.settings.log(`${this.name}: ${what}`);
    this.others.push(await othersShare());
    const times: [number[], number[]] = [[], []];
    for (let round = 0; round < rounds; round++)
      for (const [i, engine] of this.#engines.entries()) (times[i] as number[]).push(await measure(engine));
    return new Sample(times[0], this.#peer && times[1]);
  }

  #add(what: string, unit: string, sample: Sample, bound?: number): void {
    this.rows.push({ model: this.name, what, unit, sample, bound });
  }

  async #load(): Promise<void> {
    const options = this.#loadOptions(Math.max(0, ...(this.subject.depths ?? [])));
    const models = [this.#checkpoint, this.#peerModel as string];
    const load = async (engine: EngineProcess) => {
      const model = models[this.#engines.indexOf(engine)] as string;
      await warmPageCache(model);
      const rehearsal = engine === this.#peer ? this.settings.peer?.start() : newOurs();
      await this.#warmMemory(rehearsal as EngineProcess, { ...options, model });
      return engine.call('load', { ...options, model });
    };
    const loads = await this.#interleaved('load', 1, load);
    const weights = await this.#ours.call('weightBytes');
    this.#add('load, page cache and memory warm', 'ms', loads);
    this.#add('load, weights made', 'GB/s', new Sample([weights / 1e6 / loads.ours.median]));
    const memory = await this.#interleaved(
      'memory',
      1,
      async (engine) => (await engine.call('rss')).now / 1e6,
    );
    this.#add('resident memory, loaded', 'MB', memory, weights / 1e6);
  }

  /**
   * Loads once in a process that ends: what it gives back is there for the next. A virtual machine that has returned
   * idle memory to its host waits for it longer than loading takes, as a disk that is not cached.
   */
  async #warmMemory(rehearsal: EngineProcess, options: LoadOptions): Promise<void> {
    await rehearsal.call('load', options);
    await rehearsal.stop();
  }

  async #prefill(): Promise<Sample> {
    // The first prompt of a size also takes memory from the system.
    for (const engine of this.#engines) await engine.call('prefill', { tokens: 512 });
    const times = await this.#interleaved('prefill 512', this.settings.rounds, (engine) =>
      engine.call('prefill', { tokens: 512 }),
    );
    this.limits = await this.#measureLimits();
    const sample = times.map(rate(512), 'more');
    this.#add('prefill 512', 'tokens/s', sample, this.limits.flops / (2 * this.#parameters.layers));
    return sample;
  }

  async #longPrefill(short: Sample): Promise<void> {
    this.settings.log(`${this.name}: prefill 2048`);
    const times: number[] = [];
    for (let round = 0; round < this.settings.rounds; round++)
      times.push(await this.#ours.call('prefill', { tokens: 2048 }));
    const sample = new Sample(times.map(rate(2048)), undefined, 'more');
    this.#add('prefill 2048 (bound: prefill 512)', 'tokens/s', sample, short.ours.median);
  }

  async #decode(depth: number): Promise<void> {
    const what = depth === 0 ? 'decode' : `decode at depth ${depth}`;
    const times = await this.#interleaved(what, this.settings.rounds, async (engine) =>
      median(await engine.call('decode', { depth, steps: 12 })),
    );
    const bytes = this.#weightBytes() + depth * kvBytesPerToken(this.subject.shape, 2);
    this.#add(what, 'tokens/s', times.map(rate(1), 'more'), this.limits.readBytesPerSecond / bytes);
  }

  async #batch(batch: number): Promise<void> {
    const what = `decode, batch ${batch}`;
    const times = await this.#interleaved(what, Math.ceil(this.settings.rounds / 2), async (engine) =>
      median(await engine.call('batch', { batch, steps: 6 })),
    );
    const { layers, embedding } = this.#parameters;
    const { readBytesPerSecond, flops } = this.limits;
    const bound = Math.min(
      (batch * readBytesPerSecond) / this.#weightBytes(),
      flops / (2 * (layers + embedding)),
    );
    this.#add(what, 'tokens/s', times.map(rate(batch), 'more'), bound);
  }

  /** Decode speed while another process uses up one core. */
  async #stolenCore(): Promise<void> {
    const decode = async (engine: EngineProcess) =>
      median(await engine.call('decode', { depth: 0, steps: 8 }));
    const slower = await this.#interleaved('one core taken away', 1, async (engine) => {
      const alone = await decode(engine);
      const thief = fork(new URL('./busy-core.js', import.meta.url));
      await new Promise((resolve) => setTimeout(resolve, 300));
      const contended = await decode(engine);
      thief.kill();
      return contended / alone;
    });
    this.#add('decode, one core taken away', 'x slower', slower);
  }

  async #peakMemory(): Promise<void> {
    const memory = await this.#interleaved(
      'memory',
      1,
      async (engine) => (await engine.call('rss')).peak / 1e6,
    );
    this.#add('resident memory, at most', 'MB', memory);
  }

  async #int8Depth(depth: number): Promise<void> {
    const what = `decode at depth ${depth}, int8 cache`;
    this.settings.log(`${this.name}: ${what}`);
    const engine = newOurs();
    try {
      await engine.call('load', { ...this.#loadOptions(depth), kvQuant: 'int8' });
      const times = await engine.call('decode', { depth, steps: 12 });
      const { readBytesPerSecond } = await this.#measureLimits();
      const bytes = this.#weightBytes() + depth * kvBytesPerToken(this.subject.shape, 1);
      const sample = new Sample([rate(1)(median(times))], undefined, 'more');
      this.#add(what, 'tokens/s', sample, readBytesPerSecond / bytes);
    } finally {
      await engine.stop();
    }
  }

  /** What a machine without this one's best instructions would do. */
  async #otherTable(isa: string): Promise<void> {
    this.settings.log(`${this.name}: ${isa}`);
    const engine = newOurs();
    try {
      await engine.call('load', { ...this.#loadOptions(0), isa });
      const prefill = await engine.call('prefill', { tokens: 512 });
      const decode = median(await engine.call('decode', { depth: 0, steps: 8 }));
      const { flops, readBytesPerSecond } = await this.#measureLimits(isa);
      const add = (what: string, value: number, bound: number) =>
        this.#add(`${what}, ${isa}`, 'tokens/s', new Sample([value], undefined, 'more'), bound);
      add('prefill 512', rate(512)(prefill), flops / (2 * this.#parameters.layers));
      add('decode', rate(1)(decode), readBytesPerSecond / this.#weightBytes());
    } finally {
      await engine.stop();
    }
  }

  /** One narrow layer with the vocabulary of the real model: the step is short, so that what is beyond it shows. */
  async #overhead(): Promise<void> {
    this.settings.log(`${this.name}: overhead`);
    const { threads, folder, pool } = this.settings;
    const { shape } = this.subject;
    const narrow = { hidden: 64, intermediate: 128, layers: 1, heads: 2, kvHeads: 1, headDim: 32 };
    const model = writeCheckpoint({ ...shape, ...narrow, name: `${shape.name}-narrow` }, pool, folder);
    const engine = newOurs();
    try {
      const ms = await engine.call('overhead', { model, threads, tokens: 257 });
      this.#add('engine, sampling, JavaScript a token', 'ms', new Sample([ms]));
    } finally {
      await engine.stop();
    }
  }

  /** The machine's speed changes: bounds are measured beside what they bound. */
  async #measureLimits(isa?: string): Promise<MachineLimits> {
    const gauge = newOurs();
    try {
      return await gauge.call('limits', {
        threads: this.settings.threads,
        ...(isa !== undefined && { isa }),
      });
    } finally {
      await gauge.stop();
    }
  }

  /** Bytes of weights that one token reads. */
  #weightBytes(): number {
    const { layers, embedding } = this.#parameters;
    const { layerBits, headBits } = FORMATS[this.subject.format];
    return (layers * layerBits + embedding * headBits) / 8;
  }
}

/** Integers have a scale of 4 bytes for each token and head. */
const kvBytesPerToken = ({ layers, kvHeads, headDim }: ModelShape, bytes: 1 | 2): number =>
  layers * kvHeads * 2 * (headDim * bytes + (bytes === 1 ? 4 : 0));

/** Reads a model's file once, so that loading it does not measure the disk. */
async function warmPageCache(model: string): Promise<void> {
  const file = statSync(model).isDirectory() ? join(model, 'model.safetensors') : model;
  for await (const _ of createReadStream(file, { highWaterMark: 1 << 22 }));
}
