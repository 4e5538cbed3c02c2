import { expect } from 'chai';
import fc from 'fast-check';
import type { Generation } from '../../src/engine/generation.js';
import { LLMEngine } from '../../src/engine/llm-engine.js';
import { AtbError } from '../../src/errors.js';
import { tokensAlone } from '../scheduler/fake-engine.js';
import {
  type Fault,
  FaultyPostprocessor,
  FaultyRunner,
  FaultySignal,
  THROWN,
  withFaultyScheduler,
} from './faulty-world.js';

type Reading = 'result' | 'one reader' | 'two readers' | 'breaks';
type Operation =
  | { do: 'ask'; promptLen: number; maxTokens: number; reading: Reading; isSignalled: boolean }
  | { do: 'abort'; victim: number }
  | { do: 'signal'; victim: number }
  | { do: 'wait'; turns: number };

const READINGS: readonly Reading[] = ['result', 'one reader', 'two readers', 'breaks'];
const operation: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('ask' as const),
      promptLen: fc.integer({ min: 1, max: 14 }),
      maxTokens: fc.integer({ min: 1, max: 10 }),
      reading: fc.constantFrom(...READINGS),
      isSignalled: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('abort' as const), victim: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('signal' as const), victim: fc.nat() }) },
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant('wait' as const), turns: fc.integer({ min: 1, max: 6 }) }),
  },
);

const setup = fc.record({
  maxBatchSize: fc.integer({ min: 1, max: 5 }),
  chunkedPrefill: fc.boolean(),
  numBlocks: fc.integer({ min: 6, max: 14 }),
  blockSize: fc.integer({ min: 4, max: 6 }),
});

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Everywhere that foreign code, or our own scheduler, can throw. */
const POINTS = [
  'abort, after',
  'abort, before',
  'add, after',
  'add, before',
  'addEventListener',
  'addSequence',
  'decode',
  'fail, after',
  'fail, before',
  'grow, after',
  'grow, before',
  'idToToken',
  'isSpecial',
  'onStep',
  'postprocess, after',
  'postprocess, before',
  'release, after',
  'release, before',
  'removeEventListener',
  'removeSequence',
  'run gives nonsense',
  'run rejects',
  'run throws',
  'schedule, after',
  'schedule, before',
  'signal.reason',
  'start',
];

interface Asked {
  readonly id: number;
  readonly prompt: readonly number[];
  readonly maxTokens: number;
  readonly reading: Reading;
  readonly generation: Generation;
  readonly signal: FaultySignal | undefined;
  /** What readers got. */
  readonly read: string[];
  isAborted: boolean;
  outcome?: PromiseSettledResult<readonly number[]>;
}

class World {
  readonly runner: FaultyRunner;
  readonly engine: LLMEngine;
  readonly asked: Asked[] = [];
  readonly refusals: unknown[] = [];
  readonly #readers: Promise<void>[] = [];
  #pending = 0;
  isQuiet = false;

  constructor(
    options: { maxBatchSize: number; chunkedPrefill: boolean; numBlocks: number; blockSize: number },
    readonly fault: Fault,
  ) {
    this.runner = new FaultyRunner(options.numBlocks, options.blockSize, this.#fault, turn);
    this.engine = new LLMEngine(this.runner, {
      maxBatchSize: options.maxBatchSize,
      chunkedPrefill: options.chunkedPrefill,
      maxPrefillTokens: options.chunkedPrefill ? 8 : 200,
      maxModelLen: 200,
      postprocessor: new FaultyPostprocessor(this.#fault),
      onStep: () => this.#fault('onStep'),
    });
  }

  readonly #fault: Fault = (where, who) => {
    if (!this.isQuiet) this.fault(where, who);
  };

  get faultHere(): Fault {
    return this.#fault;
  }

  ask(
    promptLen: number,
    maxTokens: number,
    reading: Reading = 'result',
    isSignalled = false,
  ): Asked | undefined {
    const id = this.asked.length + this.refusals.length + 1;
    const prompt = Array.from({ length: promptLen }, (_, i) => (id * 131 + i * 17) % 1000);
    const signal = isSignalled ? new FaultySignal(this.#fault, id) : undefined;
    let generation: Generation;
    try {
      generation = this.engine.generate(prompt, { maxTokens }, { signal });
    } catch (error) {
      this.refusals.push(error);
      return undefined;
    }
    const asked: Asked = { id, prompt, maxTokens, reading, generation, signal, read: [], isAborted: false };
    this.asked.push(asked);
    this.#pending++;
    void generation.result
      .then(
        ({ tokens }) => {
          asked.outcome = { status: 'fulfilled', value: tokens };
        },
        (reason: unknown) => {
          asked.outcome = { status: 'rejected', reason };
        },
      )
      .then(() => this.#pending--);
    const readers = { result: 0, breaks: 1, 'one reader': 1, 'two readers': 2 }[reading];
    for (let i = 0; i < readers; i++) this.#readers.push(this.#read(asked));
    return asked;
  }

  async #read(asked: Asked): Promise<void> {
    let text = '';
    try {
      for await (const chunk of asked.generation) {
        text += chunk.text;
        if (asked.reading === 'breaks') break;
      }
    } catch (error) {
      if (!isTyped(error)) throw error;
    }
    asked.read.push(text);
  }

  async perform(program: readonly Operation[]): Promise<void> {
    for (const op of program) {
      if (op.do === 'ask') this.ask(op.promptLen, op.maxTokens, op.reading, op.isSignalled);
      else if (op.do === 'wait') for (let i = 0; i < op.turns; i++) await turn();
      else {
        const asked = this.asked[op.victim % Math.max(1, this.asked.length)];
        if (asked === undefined || (op.do === 'signal' && asked.signal === undefined)) continue;
        asked.isAborted = true;
        if (op.do === 'abort') asked.generation.abort('enough');
        else asked.signal?.abort();
      }
    }
    await this.settle();
  }

  /** Counts turns of the event loop, not time: a busy machine is no failure. */
  async settle(): Promise<void> {
    for (let turns = 0; this.#pending > 0; turns++) {
      if (turns > 20_000) throw new Error(`${this.#pending} requests never settle`);
      await turn();
    }
    await Promise.all(this.#readers);
  }

  /** Every answer is right, every failure is an AtbError, and every reader got what there was. */
  check(): void {
    for (const error of this.refusals) if (!isTyped(error)) throw new Error('a refusal without a type');
    for (const { prompt, maxTokens, outcome, read, reading } of this.asked) {
      if (outcome === undefined) throw new Error('a request never settled');
      if (outcome.status === 'rejected') {
        if (!isTyped(outcome.reason)) throw new Error('a failure without a type', { cause: outcome.reason });
        continue;
      }
      const alone = tokensAlone(prompt, maxTokens);
      if (alone.join() !== outcome.value.join()) throw new Error('faults of others changed the tokens');
      if (reading === 'breaks') continue;
      for (const text of read)
        if (text !== alone.map((token) => `${token},`).join('')) throw new Error('not all was read');
    }
  }

  /** Without faults, the whole cache is there for one request, and the engine serves on. */
  async checkUsable(): Promise<void> {
    this.isQuiet = true;
    const { numBlocks, blockSize } = this.runner;
    const before = this.asked.length;
    const first = this.ask(numBlocks * blockSize - 3, 4);
    await this.settle();
    for (let i = 0; i < 3; i++) this.ask(3, 5, 'one reader');
    await this.settle();
    const later = this.asked.slice(before);
    if (first === undefined || later.length < 4) throw new Error('a later request was refused');
    for (const { outcome } of later)
      if (outcome?.status !== 'fulfilled') throw new Error('a later request failed');
    this.check();
    await this.engine.dispose();
    if (this.runner.samplers.size > 0) throw new Error('a sampler was not freed');
  }
}

function isTyped(error: unknown): boolean {
  try {
    return error instanceof AtbError && error.message.length > 0;
  } catch {
    return false;
  }
}

/** Numbers in [0, 1) from a seed (xorshift). */
function randomNumbers(seed: number): () => number {
  let state = seed | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

describe('an engine among code that throws', function () {
  this.timeout(120_000);
  const unhandled: unknown[] = [];
  const record = (reason: unknown) => unhandled.push(reason);
  const { emitWarning } = process;
  before(() => {
    process.on('unhandledRejection', record);
    // Hundreds of warnings of observers that failed would hide what a reader of the tests looks for.
    process.emitWarning = () => undefined;
  });
  after(() => {
    process.off('unhandledRejection', record);
    process.emitWarning = emitWarning;
  });

  it('settles every request with its tokens or an AtbError, gets every block back, and serves on', async () => {
    const fired = new Map<string, number>();
    let failed = 0;
    let answered = 0;
    await fc.assert(
      fc.asyncProperty(
        setup,
        fc.array(operation, { minLength: 5, maxLength: 25 }),
        fc.integer({ min: 1, max: 2 ** 31 - 1 }),
        fc.constantFrom(0.003, 0.02, 0.1),
        async (options, program, seed, rate) => {
          const random = randomNumbers(seed);
          const world = new World(options, (where) => {
            if (random() >= rate) return;
            fired.set(where, (fired.get(where) ?? 0) + 1);
            throw THROWN[Math.floor(random() * THROWN.length)];
          });
          await withFaultyScheduler(world.faultHere, () => world.perform(program));
          world.check();
          failed += world.refusals.length;
          for (const { outcome } of world.asked) {
            if (outcome?.status === 'fulfilled') answered++;
            else failed++;
          }
          await world.checkUsable();
        },
      ),
      { numRuns: 1500, seed: 11 },
    );
    await turn();
    expect(unhandled).to.deep.equal([]);
    // Every point was hit, and hit requests were not all there were.
    expect([...fired.keys()].sort()).to.deep.equal(POINTS);
    expect(Math.min(failed, answered)).to.be.above(2000);
  });

  it('fails a request alone where the fault is its own', async () => {
    let [spared, hit] = [0, 0];
    await fc.assert(
      fc.asyncProperty(
        setup,
        fc.array(operation, { minLength: 5, maxLength: 25 }),
        fc.integer({ min: 1, max: 2 ** 31 - 1 }),
        async (options, program, seed) => {
          const random = randomNumbers(seed);
          const isVictim = (who: number | undefined): boolean => who !== undefined && (who * seed) % 3 === 0;
          const world = new World(options, (where, who) => {
            const isHarmless = where === 'removeSequence' || where === 'onStep';
            if (!isHarmless && !isVictim(who)) return;
            if (random() < 0.2) throw THROWN[Math.floor(random() * THROWN.length)];
          });
          await world.perform(program);
          world.check();
          for (const { id, outcome, isAborted, reading } of world.asked) {
            if (isVictim(id) || isAborted || reading === 'breaks') continue;
            if (outcome?.status !== 'fulfilled') throw new Error("a request failed for another's fault");
            spared++;
          }
          for (const { id, outcome } of world.asked)
            if (isVictim(id) && outcome?.status === 'rejected') hit++;
          await world.checkUsable();
        },
      ),
      { numRuns: 800, seed: 12 },
    );
    expect(Math.min(spared, hit)).to.be.above(500);
    expect(unhandled).to.deep.equal([]);
  });
});
