import { Worker } from 'node:worker_threads';
import { AtbError, type ErrorCode, type ErrorDetail, requestError } from '../errors.js';
import type { Work } from './beside-work.js';

export interface BesideRequest {
  readonly id: number;
  readonly name: keyof Work;
  readonly args: readonly unknown[];
}

export type BesideReply = { readonly id: number } & (
  | { readonly result: ReturnType<Work[keyof Work]> }
  | { readonly code: ErrorCode; readonly detail: ErrorDetail<ErrorCode> }
);

/** The thread, and those who wait for it. It is started when it is needed, and does not keep the process alive by itself. */
interface Thread {
  readonly worker: Worker;
  readonly waiting: Map<number, { resolve(result: unknown): void; reject(error: Error): void }>;
}

let thread: Thread | undefined;
let lastId = 0;

function start(): Thread {
  const worker = new Worker(new URL('./beside-worker.js', import.meta.url), { execArgv: [] });
  const started: Thread = { worker, waiting: new Map() };
  worker.on('message', (reply: BesideReply) => {
    const { id } = reply;
    if ('result' in reply) started.waiting.get(id)?.resolve(reply.result);
    else started.waiting.get(id)?.reject(new AtbError(reply.code, reply.detail));
    started.waiting.delete(id);
    if (started.waiting.size === 0) worker.unref();
  });
  // An error ends the thread: whoever waits is told, and who comes next gets a new one.
  worker.on('error', (error) => {
    if (thread === started) thread = undefined;
    for (const { reject } of started.waiting.values())
      reject(requestError('computing a picture or sound', error));
  });
  return started;
}

/**
 * Computes in a thread of its own what would hold up the event loop for some 0.1 s, with large pictures and sound of half a
 * minute. What is given is copied, what comes back is not.
 * @throws what the work throws; REQUEST_FAILED when the thread ends, out of memory for example
 */
export function beside<Name extends keyof Work>(
  name: Name,
  ...args: Parameters<Work[Name]>
): Promise<ReturnType<Work[Name]>> {
  thread ??= start();
  const { worker, waiting } = thread;
  const id = ++lastId;
  return new Promise((resolve, reject) => {
    waiting.set(id, { resolve: (result) => resolve(result as ReturnType<Work[Name]>), reject });
    worker.ref();
    worker.postMessage({ id, name, args } satisfies BesideRequest);
  });
}
