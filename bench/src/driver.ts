import { type ChildProcess, fork, type StdioOptions, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { MachineLimits } from '../../dist/src/native/index.js';

/** How a benchmark loads an engine. A peer knows the first five alone, and a file that says what it holds only four. */
export interface LoadOptions {
  readonly model: string;
  readonly threads: number;
  /** Tokens of the longest sequence. */
  readonly context: number;
  readonly sequences: number;
  readonly quantize?: string;
  readonly kvQuant?: string;
  readonly isa?: string;
}

/** What a benchmark asks of an engine. Every engine lives in a process of its own, idle while the other one runs. */
export interface EngineCommands {
  /** Milliseconds until the model is ready. */
  load(options: LoadOptions): Promise<number>;
  /** Milliseconds to evaluate a prompt of random tokens in an empty sequence. */
  prefill(options: { tokens: number }): Promise<number>;
  /** Milliseconds of each of `steps` greedy steps after `depth` tokens; the depth is filled only when it changes. */
  decode(options: { depth: number; steps: number }): Promise<number[]>;
  /** Milliseconds of each of `steps` steps that advance `batch` sequences by one token. */
  batch(options: { batch: number; steps: number }): Promise<number[]>;
  /** Resident bytes of the process, now and at most so far. */
  rss(): Promise<{ now: number; peak: number }>;
}

/** Milliseconds of a prompt that shows a picture. */
export interface PictureTimes {
  /** From the bytes of its file to what the encoder reads. */
  readonly readMs: number;
  readonly encodeMs: number;
  /** From the bytes to the first token, all in all. */
  readonly firstTokenMs: number;
  /** Rows that the encoder read. */
  readonly patches: number;
}

/** What only our engine is asked. */
export interface OurCommands extends EngineCommands {
  /** Bytes that the engine holds for weights. */
  weightBytes(): Promise<number>;
  /** Of the machine, without a model: it takes memory for its time. */
  limits(options: { threads: number; isa?: string }): Promise<MachineLimits>;
  /** A prompt with one placeholder, of the loaded model, whose files are in `model`. */
  see(options: { model: string; picture: string; prompt: readonly number[] }): Promise<PictureTimes>;
  /** Milliseconds from token to token, sampled, streamed by the whole library, beyond the operations of the graph. */
  overhead(options: { model: string; threads: number; tokens: number }): Promise<number>;
}

/** One request of a load: its prompt, and how many tokens are generated whatever they are. */
export interface Work {
  readonly prompt: readonly number[];
  readonly newTokens: number;
}

/** What only the peer is asked: ours answers loads by its server. */
export interface PeerCommands extends EngineCommands {
  /** Milliseconds until all requests, given at once, are answered by the peer's own batching, so many at a time. */
  requests(options: { works: readonly Work[]; sequences: number; context: number }): Promise<number>;
}

type Method<T> = Extract<T, (...options: never[]) => unknown>;
type Request = { id: number; command: string; options: unknown };
type Reply = { id: number; result?: unknown; error?: string };

/** Called in the child: answers requests one after another. */
export function serve(commands: EngineCommands | OurCommands | PeerCommands): void {
  process.on('message', async ({ id, command, options }: Request) => {
    const run = commands[command as keyof EngineCommands] as
      | ((options: unknown) => Promise<unknown>)
      | undefined;
    try {
      if (!run) throw new Error(`this engine has no command ${command}`);
      process.send?.({ id, result: await run(options) } satisfies Reply);
    } catch (error) {
      process.send?.({
        id,
        error: error instanceof Error ? (error.stack ?? error.message) : String(error),
      } satisfies Reply);
    }
  });
}

/** Called in the parent: one engine in a child process. */
export class EngineProcess<Commands = EngineCommands> {
  private readonly child: ChildProcess;
  private readonly waiting = new Map<
    number,
    { resolve: (value: never) => void; reject: (error: Error) => void }
  >();
  private lastId = 0;

  /** `python`: what runs the script where it is not JavaScript; peer_engine.py answers there. */
  constructor(script: URL, python?: string) {
    const stdio: StdioOptions = ['ignore', 'ignore', 'inherit', 'ipc'];
    this.child =
      python === undefined ? fork(script, { stdio }) : spawn(python, [fileURLToPath(script)], { stdio });
    this.child.on('error', (error) => this.#fail(error));
    this.child.on('message', ({ id, result, error }: Reply) => {
      const waiting = this.waiting.get(id);
      this.waiting.delete(id);
      if (error === undefined) waiting?.resolve(result as never);
      else waiting?.reject(new Error(error));
    });
    this.child.on('exit', (code, signal) =>
      this.#fail(new Error(`${script.pathname} ended (${code ?? signal})`)),
    );
  }

  #fail(error: Error): void {
    for (const { reject } of this.waiting.values()) reject(error);
    this.waiting.clear();
  }

  call<C extends keyof Commands & string>(
    command: C,
    ...[options]: Parameters<Method<Commands[C]>>
  ): ReturnType<Method<Commands[C]>> {
    const id = ++this.lastId;
    const reply = new Promise((resolve, reject) => this.waiting.set(id, { resolve, reject }));
    this.child.send({ id, command, options } satisfies Request);
    return reply as ReturnType<Method<Commands[C]>>;
  }

  stop(): Promise<void> {
    return new Promise((resolve) => {
      if (this.child.exitCode !== null || this.child.signalCode !== null) return resolve();
      this.child.once('exit', () => resolve());
      this.child.kill('SIGKILL');
    });
  }
}

export type Ours = EngineProcess<OurCommands>;
export const newOurs = (): Ours => new EngineProcess<OurCommands>(new URL('./ours.js', import.meta.url));

/** Resident bytes of this process, native memory included. */
export async function residentBytes(): Promise<{ now: number; peak: number }> {
  const pages = readFileSync('/proc/self/statm', 'utf8').split(' ')[1];
  return { now: Number(pages) * 4096, peak: process.resourceUsage().maxRSS * 1024 };
}

/** Token ids that no tokenizer had to make: the same for every engine. */
export function randomTokens(count: number, vocab: number, seed = 1): number[] {
  let state = seed;
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return 3 + (state % (vocab - 3));
  });
}
