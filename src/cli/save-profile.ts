import { writeFileSync } from 'node:fs';
import type { PARunner } from '../engine/pa-runner.js';
import { profileTable } from './report.js';

/** Prints where the time went, and writes the trace for chrome://tracing. */
export function saveProfile({ runner: { profiler } }: PARunner, file: string): void {
  if (!profiler) return;
  console.log(profileTable(profiler.rows()));
  writeFileSync(file, JSON.stringify(profiler.chromeTrace()));
}
