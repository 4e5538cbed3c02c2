import type { PARunner } from '../engine/pa-runner.js';
import type { GraphKind } from '../graph/graph-kind.js';
import type { ProfileRow } from '../runner/profiler.js';
import type { OutputFile } from './output-file.js';

/** Says when memory is planned anew, and why: what a warm decode never does. */
export function logPlan(stream: NodeJS.WritableStream): (kind: GraphKind, reason: string) => void {
  return ({ name }, reason) => stream.write(`${name} planned: ${reason}\n`);
}

/** Writes the trace for chrome://tracing, and returns where the time went. @throws OUTPUT_UNWRITABLE */
export async function saveProfile({ runner }: PARunner, file: OutputFile): Promise<ProfileRow[]> {
  const { profiler } = runner;
  if (!profiler) return [];
  file.write(JSON.stringify(profiler.chromeTrace()));
  return profiler.rows(await runner.machineLimits());
}
