// Builds the C++ tests with sanitizers and runs them: all with AddressSanitizer and UndefinedBehaviorSanitizer, those of
// threads with ThreadSanitizer. CXX chooses the compiler; gcc 12 and clang 14 are tried.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseFlags, refuse } from './flags.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
/** What runs threads: the others would only take long. */
const THREADED = ['thread_pool_test', 'engine_test', 'weights_test', 'weight_changes_test', 'sampler_test'];
const programs = readdirSync(join(root, 'native/test'))
  .filter((name) => name.endsWith('_test.cpp'))
  .map((name) => name.slice(0, -'.cpp'.length));
const suites = new Map([
  ['address,undefined', programs],
  ['thread', THREADED],
]);
const USAGE = `npm run test:sanitize -- [${[...suites.keys()].join(' | ')}], both when none is named`;
const {
  positionals: [chosen],
} = parseFlags(USAGE, {}, true);
if (chosen !== undefined && !suites.has(chosen)) refuse(USAGE, `no sanitizers ${chosen}`);
const compiler = process.env.CXX ? `-${basename(process.env.CXX)}` : '';

let failed = 0;
for (const [sanitizers, tests] of suites) {
  if (chosen !== undefined && chosen !== sanitizers) continue;
  const flags = [join(root, 'scripts/build-native.mjs'), '--sanitize', sanitizers, '--tests'];
  flags.push('--only', tests.join(','));
  const build = spawnSync(process.execPath, flags, { stdio: 'inherit' });
  if (build.status !== 0) process.exit(1);
  const folder = join(root, 'build', `sanitize-${sanitizers.replaceAll(',', '-')}${compiler}`);
  for (const test of tests) {
    const program = join(folder, test);
    if (!existsSync(program)) throw new Error(`${program} was not built`);
    const run = spawnSync(program, {
      encoding: 'utf8',
      maxBuffer: 1 << 28,
      // Tests ask for more memory than there is, to see that they are told so.
      env: { ...process.env, ASAN_OPTIONS: 'allocator_may_return_null=1', TSAN_OPTIONS: 'halt_on_error=1' },
    });
    const ok = run.status === 0;
    console.log(`${ok ? 'ok' : 'FAILED'} ${sanitizers} ${test}`);
    if (ok) continue;
    failed++;
    console.log(run.stdout, run.stderr);
  }
}
console.log(failed === 0 ? 'sanitizers found nothing' : `${failed} programs failed`);
process.exitCode = failed === 0 ? 0 : 1;
