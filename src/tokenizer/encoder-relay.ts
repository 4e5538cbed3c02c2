import { type ChildProcess, fork } from 'node:child_process';
import { type MessagePort, workerData } from 'node:worker_threads';
import type {
  EncodeRequest,
  EncoderReply,
  EncoderRequest,
  RelayMessage,
  RelayReply,
  ServerMessage,
} from './encoder-protocol.js';

// A thread between the main thread and the encoders' processes: a caller that blocks still gets its answer, and a text
// that takes too long ends its process while nobody else can. Long texts have a process of their own, so that whoever
// sends them keeps nobody else waiting.

/** The process, the tokenizers that it has loaded, and those of them that tell control tokens from text. */
interface Server {
  readonly child: ChildProcess;
  readonly loaded: Set<number>;
  readonly keyed: Set<number>;
}

interface Call {
  readonly call: number;
  readonly tokenizer: number;
  readonly request: EncoderRequest;
  readonly limitMs: number;
  readonly signal: Int32Array | undefined;
}

const SERVER = new URL('./encoder-server.js', import.meta.url);
const MAX_MESSAGE_LEN = 300;
/** For what the process prints when it dies. */
const MAX_STDERR_LEN = 2000;
const OPEN_LIMIT_MS = 60_000;

/** Characters of a text that takes so long that others must not wait for it: with half a million, about a second. */
const LONG_TEXT_LEN = 2 ** 19;
/** Long texts are seldom, and their process holds every tokenizer a second time. */
const IDLE_MS = 30_000;

const port = workerData as MessagePort;
/** The requests that opened the tokenizers, for a process that takes another's place. */
const opened = new Map<number, EncoderRequest>();

/** A process with its queue. One text at a time, so that it is known whose it was when the process dies. */
class Lane {
  readonly #queue: Call[] = [];
  readonly #idleMs: number | undefined;
  #isBusy = false;
  #server: Server | undefined;
  #settle: ((reply: EncoderReply) => void) | undefined;
  #idle: NodeJS.Timeout | undefined;

  /** With `idleMs` the process ends when nothing was asked for so long. */
  constructor(idleMs?: number) {
    this.#idleMs = idleMs;
  }

  push(call: Call): void {
    this.#queue.push(call);
    void this.#drain();
  }

  close(message: ServerMessage): void {
    this.#server?.loaded.delete(message.tokenizer);
    this.#server?.keyed.delete(message.tokenizer);
    this.#server?.child.send(message);
  }

  async #drain(): Promise<void> {
    if (this.#isBusy) return;
    this.#isBusy = true;
    clearTimeout(this.#idle);
    for (let call = this.#queue.shift(); call !== undefined; call = this.#queue.shift()) {
      const reply = await this.#answer(call);
      port.postMessage({ call: call.call, reply } satisfies RelayReply);
      if (call.signal === undefined) continue;
      Atomics.store(call.signal, 0, 1);
      Atomics.notify(call.signal, 0);
    }
    this.#isBusy = false;
    if (this.#idleMs !== undefined) this.#idle = setTimeout(() => this.#end(), this.#idleMs).unref();
  }

  async #answer({ tokenizer, request, limitMs }: Call): Promise<EncoderReply> {
    if (request.kind !== 'encode') {
      const reply = await this.#ask(tokenizer, request, limitMs);
      if (reply.problem !== undefined) return reply;
      const digest = reply.loaded?.digest;
      opened.set(
        tokenizer,
        request.kind === 'load' && digest !== undefined ? { ...request, digest } : request,
      );
      return reply;
    }
    const opening = opened.get(tokenizer);
    if (opening !== undefined && this.#server?.loaded.has(tokenizer) !== true) {
      const reply = await this.#ask(tokenizer, opening, OPEN_LIMIT_MS);
      if (reply.problem !== undefined) return reply;
    }
    if (needsKeys(request) && this.#server?.keyed.has(tokenizer) !== true) {
      // A second tokenizer is made, once, which takes as long as the first and is no fault of the text.
      const reply = await this.#ask(tokenizer, MAKE_KEYS, OPEN_LIMIT_MS);
      if (reply.problem !== undefined) return reply;
      this.#server?.keyed.add(tokenizer);
    }
    return this.#ask(tokenizer, request, limitMs);
  }

  async #ask(tokenizer: number, request: EncoderRequest, limitMs: number): Promise<EncoderReply> {
    this.#server ??= this.#start();
    const { child, loaded } = this.#server;
    const reply = await new Promise<EncoderReply>((resolve) => {
      const timer = setTimeout(() => {
        this.#settle?.({ problem: { kind: 'slow' } });
        this.#end();
      }, limitMs);
      this.#settle = (found) => {
        this.#settle = undefined;
        clearTimeout(timer);
        resolve(found);
      };
      child.send({ kind: 'request', tokenizer, request } satisfies ServerMessage);
    });
    if (request.kind !== 'encode' && reply.problem === undefined) loaded.add(tokenizer);
    return reply;
  }

  #start(): Server {
    const child = fork(SERVER, {
      serialization: 'advanced',
      execArgv: [],
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    let printed = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      printed = (printed + text).slice(0, MAX_STDERR_LEN);
    });
    child.on('message', (reply: EncoderReply) => this.#settle?.(reply));
    const onEnd = (message: string): void => {
      if (this.#server?.child !== child) return;
      this.#server = undefined;
      this.#settle?.({ problem: { kind: 'died', message: message.slice(0, MAX_MESSAGE_LEN) } });
    };
    child.on('error', (error) => onEnd(error.message));
    // "close" and not "exit": by then all that it printed is here.
    child.on('close', (code, signal) => {
      const [, panic] = /panicked at [^\n]*\n([^\n]+)/.exec(printed) ?? [];
      onEnd(panic ?? `it ended with ${signal ?? `exit status ${code}`}`);
    });
    return { child, loaded: new Set(), keyed: new Set() };
  }

  #end(): void {
    this.#server?.child.kill('SIGKILL');
    this.#server = undefined;
  }
}

const usual = new Lane();
const long = new Lane(IDLE_MS);

port.on('message', (message: RelayMessage) => {
  if (message.kind === 'close') {
    opened.delete(message.tokenizer);
    for (const lane of [usual, long]) lane.close(message);
  } else (isLong(message.request) ? long : usual).push(message);
});

const isLong = (request: EncoderRequest): boolean =>
  request.kind === 'encode' && request.text.length + (request.typed?.pair?.length ?? 0) > LONG_TEXT_LEN;

/** Whether control tokens of the text are told from mere text. */
const needsKeys = ({ mark, text }: EncodeRequest): boolean =>
  mark === null || (mark !== undefined && text.includes(mark));
const MAKE_KEYS: EncodeRequest = { kind: 'encode', text: '', addSpecialTokens: false, mark: null };
