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

// A thread between the main thread and the encoder's process: a caller that blocks still gets its answer, and a text
// that takes too long ends the process while nobody else can.

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

const port = workerData as MessagePort;
/** The requests that opened the tokenizers, for a process that takes another's place. */
const opened = new Map<number, EncoderRequest>();
const queue: Call[] = [];
let isBusy = false;
let server: Server | undefined;
let settle: ((reply: EncoderReply) => void) | undefined;

port.on('message', (message: RelayMessage) => {
  if (message.kind === 'close') {
    opened.delete(message.tokenizer);
    server?.loaded.delete(message.tokenizer);
    server?.keyed.delete(message.tokenizer);
    server?.child.send(message satisfies ServerMessage);
    return;
  }
  queue.push(message);
  void drain();
});

/** One at a time, so that it is known whose text it was when the process dies. */
async function drain(): Promise<void> {
  if (isBusy) return;
  isBusy = true;
  for (let call = queue.shift(); call !== undefined; call = queue.shift()) {
    const reply = await answer(call);
    port.postMessage({ call: call.call, reply } satisfies RelayReply);
    if (call.signal === undefined) continue;
    Atomics.store(call.signal, 0, 1);
    Atomics.notify(call.signal, 0);
  }
  isBusy = false;
}

async function answer({ tokenizer, request, limitMs }: Call): Promise<EncoderReply> {
  if (request.kind !== 'encode') {
    const reply = await ask(tokenizer, request, limitMs);
    if (reply.problem !== undefined) return reply;
    const digest = reply.loaded?.digest;
    opened.set(tokenizer, request.kind === 'load' && digest !== undefined ? { ...request, digest } : request);
    return reply;
  }
  const opening = opened.get(tokenizer);
  if (opening !== undefined && server?.loaded.has(tokenizer) !== true) {
    const reply = await ask(tokenizer, opening, OPEN_LIMIT_MS);
    if (reply.problem !== undefined) return reply;
  }
  if (needsKeys(request) && server?.keyed.has(tokenizer) !== true) {
    // A second tokenizer is made, once, which takes as long as the first and is no fault of the text.
    const reply = await ask(tokenizer, MAKE_KEYS, OPEN_LIMIT_MS);
    if (reply.problem !== undefined) return reply;
    server?.keyed.add(tokenizer);
  }
  return ask(tokenizer, request, limitMs);
}

/** Whether control tokens of the text are told from mere text. */
const needsKeys = ({ mark, text }: EncodeRequest): boolean =>
  mark === null || (mark !== undefined && text.includes(mark));
const MAKE_KEYS: EncodeRequest = { kind: 'encode', text: '', addSpecialTokens: false, mark: null };

async function ask(tokenizer: number, request: EncoderRequest, limitMs: number): Promise<EncoderReply> {
  server ??= start();
  const { child, loaded } = server;
  const reply = await new Promise<EncoderReply>((resolve) => {
    const timer = setTimeout(() => {
      settle?.({ problem: { kind: 'slow' } });
      end();
    }, limitMs);
    settle = (found) => {
      settle = undefined;
      clearTimeout(timer);
      resolve(found);
    };
    child.send({ kind: 'request', tokenizer, request } satisfies ServerMessage);
  });
  if (request.kind !== 'encode' && reply.problem === undefined) loaded.add(tokenizer);
  return reply;
}

function start(): Server {
  const child = fork(SERVER, {
    serialization: 'advanced',
    execArgv: [],
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  let printed = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    printed = (printed + text).slice(0, MAX_STDERR_LEN);
  });
  child.on('message', (reply: EncoderReply) => settle?.(reply));
  const onEnd = (message: string): void => {
    if (server?.child === child) server = undefined;
    else return;
    settle?.({ problem: { kind: 'died', message: message.slice(0, MAX_MESSAGE_LEN) } });
  };
  child.on('error', (error) => onEnd(error.message));
  // "close" and not "exit": by then all that it printed is here.
  child.on('close', (code, signal) => {
    const [, panic] = /panicked at [^\n]*\n([^\n]+)/.exec(printed) ?? [];
    onEnd(panic ?? `it ended with ${signal ?? `exit status ${code}`}`);
  });
  return { child, loaded: new Set(), keyed: new Set() };
}

function end(): void {
  server?.child.kill('SIGKILL');
  server = undefined;
}
