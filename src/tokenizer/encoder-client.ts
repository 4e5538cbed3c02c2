import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from 'node:worker_threads';
import type { EncoderReply, EncoderRequest, RelayMessage, RelayReply } from './encoder-protocol.js';

/** How much longer than the relay's own limit a blocked caller waits: for the start of thread and process. */
const START_MS = 120_000;

/** The thread that all tokenizers of this process share; it ends with the process. */
interface Relay {
  readonly port: MessagePort;
  readonly pending: Map<number, (reply: EncoderReply) => void>;
}

let relay: Relay | undefined;
let numTokenizers = 0;
let numCalls = 0;

function startRelay(): Relay {
  const { port1: port, port2 } = new MessageChannel();
  const worker = new Worker(new URL('./encoder-relay.js', import.meta.url), {
    workerData: port2,
    transferList: [port2],
    execArgv: [],
  });
  const started: Relay = { port, pending: new Map() };
  port.on('message', (message: RelayReply) => deliver(started, message));
  // Neither keeps the process alive; a pending call does.
  port.unref();
  worker.unref();
  worker.on('error', (error) => {
    if (relay === started) relay = undefined;
    for (const call of [...started.pending.keys()])
      deliver(started, { call, reply: { problem: { kind: 'died', message: error.message } } });
  });
  return started;
}

function deliver({ port, pending }: Relay, { call, reply }: RelayReply): void {
  pending.get(call)?.(reply);
  pending.delete(call);
  if (pending.size === 0) port.unref();
}

const forgotten = new FinalizationRegistry((tokenizer: number) => {
  relay?.port.postMessage({ kind: 'close', tokenizer } satisfies RelayMessage);
});

/** One tokenizer in the encoder's process. It is closed when nobody holds this any more. */
export class EncoderClient {
  readonly #tokenizer = ++numTokenizers;

  constructor() {
    forgotten.register(this, this.#tokenizer);
  }

  async call(request: EncoderRequest, limitMs: number): Promise<EncoderReply> {
    relay ??= startRelay();
    const { port, pending } = relay;
    return await new Promise((resolve) => {
      const call = this.#post(relay as Relay, request, limitMs, undefined);
      pending.set(call, resolve);
      port.ref();
    });
  }

  /** The same, but blocks this thread until the answer comes or time is up. */
  callSync(request: EncoderRequest, limitMs: number): EncoderReply {
    relay ??= startRelay();
    const signal = new Int32Array(new SharedArrayBuffer(4));
    let found: EncoderReply | undefined;
    const call = this.#post(relay, request, limitMs, signal);
    relay.pending.set(call, (reply) => {
      found = reply;
    });
    Atomics.wait(signal, 0, 0, limitMs + START_MS);
    // Answers to others may come before; their callers get them now.
    for (
      let next = receiveMessageOnPort(relay.port);
      next !== undefined;
      next = receiveMessageOnPort(relay.port)
    )
      deliver(relay, next.message as RelayReply);
    relay.pending.delete(call);
    return found ?? { problem: { kind: 'slow' } };
  }

  #post({ port }: Relay, request: EncoderRequest, limitMs: number, signal: Int32Array | undefined): number {
    const call = ++numCalls;
    port.postMessage({
      kind: 'call',
      call,
      tokenizer: this.#tokenizer,
      request,
      limitMs,
      signal,
    } satisfies RelayMessage);
    return call;
  }
}
