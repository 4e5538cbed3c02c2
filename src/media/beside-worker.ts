import { parentPort } from 'node:worker_threads';
import { AtbError } from '../errors.js';
import type { BesideReply, BesideRequest } from './beside.js';
import { WORK, type Work } from './beside-work.js';

// The thread in which pictures and sound are computed. It answers one request after another.

/** The memory of all arrays of numbers in a result. */
const buffersOf = (value: unknown): ArrayBufferLike[] => {
  if (ArrayBuffer.isView(value)) return [value.buffer];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(buffersOf) : [];
};

function answer({ id, name, args }: BesideRequest): BesideReply {
  const work = WORK[name] as (...given: readonly unknown[]) => ReturnType<Work[keyof Work]>;
  try {
    return { id, result: work(...args) };
  } catch (error) {
    if (!(error instanceof AtbError)) throw error;
    // An error that is sent is no AtbError any more.
    const { code, detail }: AtbError = error;
    return { id, code, detail };
  }
}

parentPort?.on('message', (request: BesideRequest) => {
  const reply = answer(request);
  parentPort?.postMessage(reply, [...new Set(buffersOf(reply))] as ArrayBuffer[]);
});
