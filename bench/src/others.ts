import { cpus } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

/** Milliseconds since the system started, of all cores together. */
function processorTime(): { busy: number; all: number } {
  let [busy, all] = [0, 0];
  for (const { times } of cpus()) {
    const used = times.user + times.nice + times.sys + times.irq;
    busy += used;
    all += used + times.idle;
  }
  return { busy, all };
}

/** The share of the processor's time, 0 to 1, that is used while the engines wait: other programs' share. */
export async function othersShare(ms = 300): Promise<number> {
  const before = processorTime();
  await sleep(ms);
  const after = processorTime();
  return (after.busy - before.busy) / Math.max(1, after.all - before.all);
}
