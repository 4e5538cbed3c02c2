// Compiles the C++ tests of the kernels for ARM, and runs them on this machine by emulation: all on a CPU that has
// everything, and the choice of a kernel table on CPUs that have less. Emulation takes a hundred times as long as a CPU
// does; what it measures means nothing.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseFlags, refuse } from './flags.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const ARCH = 'arm64';
/** The programs that compare every kernel table with the reference, quick ones first. */
const KERNEL_TESTS = [
  ...['kernels_test', 'pack_test', 'recurrent_test', 'gemm_test', 'e4m3_gemm_test', 'attention_test'],
  ...['entries_test', 'sparse_attention_test', 'integer_gemm_test', 'integer_packing_test'],
];
/** Runs again on CPUs without dot products (Cortex-A53), and with them but without what came later (Neoverse N1). */
const OLDER_CPUS = [
  ['cortex-a53', 'kernels_test'],
  ['neoverse-n1', 'kernels_test'],
];
const EMULATOR = 'qemu-aarch64';
/** Where Debian's cross compiler has the libraries that programs of the other machine are linked with. */
const LIBRARIES = '/usr/aarch64-linux-gnu';

const USAGE =
  'npm run test:arm64 -- [TEST ...], names of native/test/*_test.cpp without .cpp; the kernels when none is named';
const { positionals: chosen } = parseFlags(USAGE, {}, true);
const unknown = chosen.filter((test) => !existsSync(join(root, 'native/test', `${test}.cpp`)));
if (unknown.length > 0) refuse(USAGE, `no test ${unknown.join(', ')}`);
const tests = chosen.length > 0 ? chosen : KERNEL_TESTS;

const TOOLS = new Map([
  ['aarch64-linux-gnu-g++', 'g++-aarch64-linux-gnu'],
  [EMULATOR, 'qemu-user'],
]);
const missing = [...TOOLS].filter(
  ([tool]) => spawnSync(tool, ['--version'], { stdio: 'ignore' }).status !== 0,
);
if (missing.length > 0) {
  console.error(`not there: ${missing.map(([tool]) => tool).join(', ')}`);
  console.error(`on Debian or Ubuntu: sudo apt-get install ${missing.map(([, name]) => name).join(' ')}`);
  process.exit(1);
}

const flags = ['--arch', ARCH, '--tests', '--only', tests.join(',')];
const build = spawnSync(process.execPath, [join(root, 'scripts/build-native.mjs'), ...flags], {
  stdio: 'inherit',
});
if (build.status !== 0) process.exit(1);

const runs = [
  ...tests.map((test) => ['max', test]),
  ...OLDER_CPUS.filter(([, test]) => tests.includes(test)),
];
let failed = 0;
for (const [cpu, test] of runs) {
  const program = join(root, 'build', `release-linux-${ARCH}`, test);
  const started = Date.now();
  const run = spawnSync(EMULATOR, ['-cpu', cpu, '-L', LIBRARIES, program], {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  const ok = run.status === 0;
  console.log(`${ok ? 'ok' : 'FAILED'} ${cpu} ${test} (${((Date.now() - started) / 1000).toFixed(0)} s)`);
  if (ok) continue;
  failed++;
  console.log(run.stdout, run.stderr, run.signal ?? '');
}
console.log(failed === 0 ? 'all is well on ARM' : `${failed} programs failed`);
process.exitCode = failed === 0 ? 0 : 1;
