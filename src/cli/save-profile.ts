import { writeFileSync } from 'node:fs';
import type { PARunner } from '../engine/pa-runner.js';
import type { GraphKind } from '../graph/graph-kind.js';
import { profileTable } from './report.js';

/** Says when memory is planned anew, and why: what a warm decode never does. */
export function logPlan(stream: NodeJS.WritableStream): (kind: GraphKind, reason: string) => void {
  return ({ name }, reason) => stream.write(`${name} planned: ${reason}\n`);
}

/** Prints where the time went, and writes the trace for chrome://tracing. */
export async function saveProfile({ runner }: PARunner, file: string): Promise<void> {
  const { profiler } = runner;
  if (!profiler) return;
  console.log(profileTable(profiler.rows(await runner.machineLimits())));
  writeFileSync(file, JSON.stringify(profiler.chromeTrace()));
}
