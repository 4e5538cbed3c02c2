import type { StepRunner } from '../../src/engine/llm-engine-options.js';
import { AtbError } from '../../src/errors.js';
import { BlockManager } from '../../src/kv-cache/block-manager.js';
import type { Batch } from '../../src/scheduler/batch.js';
import { Scheduler } from '../../src/scheduler/scheduler.js';
import type { Sequence } from '../../src/scheduler/sequence.js';
import { OutputText, Postprocessor, type StopOptions } from '../../src/tokenizer/postprocessor.js';
import type { TokenDecoder } from '../../src/tokenizer/stream-decoder.js';
import { FakeEngine } from '../scheduler/fake-engine.js';

/** Foreign code at this point may throw: `where` names the point, `who` the request that it belongs to, if any. */
export type Fault = (where: string, who?: number) => void;

/** Whatever JavaScript can throw. */
export const THROWN: readonly unknown[] = [
  new Error('injected'),
  new AtbError('NATIVE_ERROR', { nativeCode: 'NATIVE_OUT_OF_MEMORY', reason: 'injected' }),
  'a text',
  undefined,
  null,
  Symbol('injected'),
  new Proxy(
    {},
    {
      get() {
        throw new Error('a trap');
      },
      getPrototypeOf() {
        throw new Error('a trap');
      },
    },
  ),
];

/** A runner over the small real engine of the scheduler's tests, all of whose calls may throw. */
export class FaultyRunner implements StepRunner {
  readonly config = { vocabSize: 1000, eosTokenIds: [] };
  readonly samplers = new Set<Sequence>();
  readonly #engine: FakeEngine;

  constructor(
    readonly numBlocks: number,
    readonly blockSize: number,
    private readonly fault: Fault,
    /** Waits as an engine on a thread of its own would. */
    private readonly compute: () => Promise<void>,
  ) {
    this.#engine = new FakeEngine({ numBlocks, blockSize });
  }

  addSequence(sequence: Sequence): void {
    this.fault('addSequence', sequence.id);
    this.samplers.add(sequence);
  }

  removeSequence(sequence: Sequence): void {
    this.samplers.delete(sequence);
    this.fault('removeSequence');
  }

  run(batch: Batch): ReturnType<StepRunner['run']> {
    this.fault('run throws');
    return this.#run(batch);
  }

  async #run(batch: Batch): ReturnType<StepRunner['run']> {
    await this.compute();
    this.fault('run rejects');
    const tokens = Int32Array.from(this.#engine.run(batch));
    try {
      this.fault('run gives nonsense');
    } catch {
      return { tokens: tokens.slice(1), logprobs: [] };
    }
    return { tokens, logprobs: [] };
  }
}

/** Text is "12,7,": each request has a decoder of its own, all of whose calls may throw. */
export class FaultyPostprocessor extends Postprocessor {
  #started = 0;

  constructor(private readonly fault: Fault) {
    super(undefined, []);
  }

  override start(options: StopOptions): OutputText {
    const who = ++this.#started;
    this.fault('start', who);
    const decoder: TokenDecoder = {
      decode: (ids) => {
        this.fault('decode', who);
        return ids.map((id) => `${id},`).join('');
      },
      isSpecial: () => {
        this.fault('isSpecial', who);
        return false;
      },
      idToToken: (id) => {
        this.fault('idToToken', who);
        return String(id);
      },
    };
    return new OutputText(decoder, new Set(), options);
  }
}

/** An abort signal of somebody's own making, all of whose methods may throw. */
export class FaultySignal extends EventTarget implements AbortSignal {
  aborted = false;
  onabort = null;

  constructor(
    private readonly fault: Fault,
    private readonly who: number,
  ) {
    super();
  }

  get reason(): unknown {
    this.fault('signal.reason', this.who);
    return 'enough';
  }

  override addEventListener(...args: Parameters<AbortSignal['addEventListener']>): void {
    this.fault('addEventListener', this.who);
    super.addEventListener(...args);
  }

  override removeEventListener(...args: Parameters<AbortSignal['removeEventListener']>): void {
    this.fault('removeEventListener', this.who);
    super.removeEventListener(...args);
  }

  throwIfAborted(): void {
    if (this.aborted) throw this.reason;
  }

  abort(): void {
    this.aborted = true;
    this.dispatchEvent(new Event('abort'));
  }
}

const METHODS = [
  [Scheduler.prototype, ['schedule', 'postprocess', 'fail', 'abort', 'add']],
  [BlockManager.prototype, ['grow', 'release']],
] as const;

/** While `use` runs, methods of the scheduler and of its accounts throw as well: before their work or after it. */
export async function withFaultyScheduler<T>(fault: Fault, use: () => Promise<T>): Promise<T> {
  const restore: (() => void)[] = [];
  for (const [prototype, names] of METHODS) {
    for (const name of names) {
      const original: unknown = Reflect.get(prototype, name);
      if (typeof original !== 'function') throw new Error(`there is no ${name}`);
      Reflect.set(prototype, name, function (this: unknown, ...args: readonly unknown[]): unknown {
        fault(`${name}, before`);
        const result: unknown = Reflect.apply(original, this, args);
        fault(`${name}, after`);
        return result;
      });
      restore.push(() => Reflect.set(prototype, name, original));
    }
  }
  try {
    return await use();
  } finally {
    for (const each of restore) each();
  }
}
