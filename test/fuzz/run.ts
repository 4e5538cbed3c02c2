// Runs one target: `node dist/test/fuzz/run.js TARGET SECONDS SEED`. Prints how many executions it made and how they
// ended; a failure that is no AtbError, or one that takes seconds, is a finding and ends it with 1. `npm run fuzz` runs all.
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AtbError } from '../../src/errors.js';
import { Random } from './mutate.js';
import { targets } from './targets.js';

/** Far more than any execution needs, also on a busy machine. */
const SLOW_MS = 10_000;

const [name = '', seconds = '10', seed = '1'] = process.argv.slice(2);
// In memory where the system has such a folder: a disk takes longer to write a file than we take to refuse it.
const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'atb-fuzz-'));
const ends = new Map<string, number>();
let executions = 0;
try {
  const target = (await targets(folder)).get(name);
  if (target === undefined) throw new RangeError(`there is no target "${name}"`);
  const end = performance.now() + Number(seconds) * 1000;
  for (; performance.now() < end; executions++) {
    const started = performance.now();
    let how = 'accepted';
    try {
      // Each execution follows from the seed and its number alone.
      await target(new Random(Number(seed) * 1_000_003 + executions));
    } catch (error) {
      if (!(error instanceof AtbError)) {
        console.log(
          `FINDING ${name}, seed ${seed}, execution ${executions}: ${error instanceof Error ? error.stack : error}`,
        );
        process.exitCode = 1;
        break;
      }
      how = error.code;
    }
    ends.set(how, (ends.get(how) ?? 0) + 1);
    if (performance.now() - started > SLOW_MS) {
      console.log(
        `FINDING ${name}, seed ${seed}, execution ${executions}: took ${performance.now() - started} ms`,
      );
      process.exitCode = 1;
      break;
    }
  }
} finally {
  rmSync(folder, { recursive: true });
}
const kinds = [...ends].sort(([, a], [, b]) => b - a).map(([how, times]) => `${how} ${times}`);
console.log(`${name}: ${executions} executions; ${kinds.join(', ')}`);
process.exit();
