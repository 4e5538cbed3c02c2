import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

/** What the machine can do at most, measured now. */
export interface MachineLimits {
  /** Streamed reading of memory, all threads together. */
  readonly readBytesPerSecond: number;
  /** bf16 products of tiles that lie in L2 (AMX), or of vectors where there is no AMX. */
  readonly tileFlops: number;
}

const PROGRAM = join(import.meta.dirname, '../../build/release/limits_bench');

/** Runs the C++ program of native/test/limits_bench.cpp. */
export function machineLimits(threads: number): MachineLimits {
  return JSON.parse(execFileSync(PROGRAM, [String(threads)], { encoding: 'utf8' }));
}
