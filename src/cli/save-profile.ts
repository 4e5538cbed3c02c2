import { writeFileSync } from 'node:fs';
import type { PARunner } from '../engine/pa-runner.js';
import { profileTable } from './report.js';

/** Prints where the time went, and writes the trace for chrome://tracing. */
export async function saveProfile({ runner }: PARunner, file: string): Promise<void> {
  const { profiler } = runner;
  if (!profiler) return;
  console.log(profileTable(profiler.rows(await runner.machineLimits())));
  writeFileSync(file, JSON.stringify(profiler.chromeTrace()));
}
