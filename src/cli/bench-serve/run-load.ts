import { setTimeout as sleep } from 'node:timers/promises';
import { type RequestRecord, streamRequest, type Target } from './stream-request.js';
import type { PlannedRequest } from './workload.js';

export interface LoadRun {
  readonly records: readonly RequestRecord[];
  /** From the first request to the end of the last answer. */
  readonly durationMs: number;
}

/** Sends requests when they are due, however many of those before are still under way. */
export async function runLoad(
  target: Target,
  planned: readonly PlannedRequest[],
  onDone: (done: number, total: number) => void,
): Promise<LoadRun> {
  const startMs = performance.now();
  let done = 0;
  const records = await Promise.all(
    planned.map(async (request) => {
      const waitMs = request.atMs - (performance.now() - startMs);
      if (waitMs > 0) await sleep(waitMs);
      const record = await streamRequest(target, request, startMs);
      onDone(++done, planned.length);
      return record;
    }),
  );
  return { records, durationMs: performance.now() - startMs };
}
