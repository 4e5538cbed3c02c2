// Builds native/ with CMake; `npm install` runs it with --if-needed, in a clone by way of prepare.mjs. Headers come from
// npm (node-api-headers), so nothing is downloaded. Prints one line when all is well, the tools' whole output when it is not.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { basename, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseFlags } from './flags.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const windows = process.platform === 'win32';
/** Then this package's own scripts are out of reach. */
const isDependency = /[\\/]node_modules[\\/]/.test(fileURLToPath(import.meta.url));
const USAGE = `node scripts/build-native.mjs [flags]
  --tests              build the C++ tests too (native/test/*_test.cpp)
  --bench              build the C++ benchmarks too (native/test/*_bench.cpp)
  --only a,b           build only these of CMake's targets
  --debug              into build/debug, with assertions and without optimisation
  --sanitize a,b       into build/sanitize-a-b, e.g. address,undefined or thread; without the addon
  --fuzz               the fuzz targets (native/fuzz/*_fuzz.cpp) into build/fuzz, with address,undefined
  --prebuild           copy the addon to prebuilds/<platform>-<arch>/, where --if-needed and the loader find it
  --arch arm64         with --prebuild or --tests on Linux: for another machine, by g++-aarch64-linux-gnu (x64:
                       g++-x86-64-linux-gnu)
  --this-cpu           only the kernel tables that this CPU has a use for, which takes two thirds of the time
  --if-needed          do nothing when an addon of these sources is there, or ATB_SKIP_NATIVE_BUILD=1
  --verbose            show what CMake and the compiler print`;
const { values: options } = parseFlags(USAGE, {
  tests: { type: 'boolean', default: false },
  bench: { type: 'boolean', default: false },
  only: { type: 'string', default: '' },
  debug: { type: 'boolean', default: false },
  sanitize: { type: 'string', default: '' },
  fuzz: { type: 'boolean', default: false },
  prebuild: { type: 'boolean', default: false },
  arch: { type: 'string', default: process.arch },
  'this-cpu': { type: 'boolean', default: false },
  'if-needed': { type: 'boolean', default: false },
  verbose: { type: 'boolean', default: false },
});

/** What GNU calls the machines that an addon can be compiled for on another one. */
const CROSS = { arm64: 'aarch64', x64: 'x86_64' };
const isCross = options.arch !== process.arch;
const canCross = (options.prebuild || options.tests) && process.platform === 'linux';
if (isCross && !(canCross && Object.hasOwn(CROSS, options.arch)))
  fail([
    `atb-models: --arch ${options.arch} goes with --prebuild or --tests on Linux; it is one of ${Object.keys(CROSS)}`,
  ]);
const platform = `${process.platform}-${options.arch}`;
const prebuilt = join(root, 'prebuilds', platform, 'atb_models.node');

/** A hash of everything that the addon is made of. Beside an addon it says which sources that came from. */
function sourcesHash() {
  const hash = createHash('sha256');
  const files = readdirSync(join(root, 'native/src'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath ?? entry.path, entry.name)));
  for (const file of ['native/CMakeLists.txt', ...files.sort()])
    hash
      .update(`${file}\0`)
      .update(readFileSync(join(root, file)))
      .update('\0');
  return hash.digest('hex');
}

const stampOf = (file) => join(dirname(file), 'sources.sha256');

/** What a stamp says: which sources an addon came from, and which kernel tables it has. */
const stampText = (tables) => `${sourcesHash()} ${tables}`;

/** A published addon has no stamp; it was made of the sources beside it. */
function isUpToDate(file, withoutStamp) {
  if (!existsSync(file)) return false;
  const stamp = stampOf(file);
  if (!existsSync(stamp)) return withoutStamp;
  return [stampText('all'), stampText(wantedTables())].includes(readFileSync(stamp, 'utf8'));
}

/** Kernel tables to compile, as CMake's list: with --this-cpu its best one and those that it is made of, else all. */
function wantedTables() {
  if (!options['this-cpu'] || isCross || process.arch !== 'x64' || windows) return 'all';
  // Compilers define a macro for each feature that the CPU beneath them has.
  const macros = output(process.env.CXX ?? 'c++', ['-march=native', '-dM', '-E', '-x', 'c++', '/dev/null']);
  const has = (...features) => features.every((name) => macros?.includes(`#define __${name}__ `));
  const avx512 = has('AVX512F', 'AVX512BW', 'AVX512VL', 'AVX512DQ', 'AVX512VNNI');
  const bf16 = avx512 && has('AVX512BF16');
  const tables = [
    avx512 && 'avx512',
    bf16 && 'avx512_bf16',
    bf16 && has('AMX_TILE', 'AMX_BF16', 'AMX_INT8', 'GFNI') && 'amx',
    !avx512 && has('AVX2', 'FMA', 'F16C') && 'avx2',
    !avx512 && has('AVX2', 'FMA', 'F16C', 'AVXVNNI') && 'avx_vnni',
  ].filter(Boolean);
  return tables.length > 0 ? tables.join(';') : 'all';
}

if (options['if-needed']) {
  if (process.env.ATB_SKIP_NATIVE_BUILD === '1') process.exit(0);
  // In a clone, which alone has this file, npm runs `prepare` next; that builds the addon beside the JavaScript.
  if (process.env.npm_lifecycle_event === 'install' && existsSync(join(root, 'tsconfig.json')))
    process.exit(0);
  // npx in a clone installs the package into a folder of its own, by a link: without this check it would compile again.
  if (isUpToDate(join(root, 'build/release/atb_models.node'), false)) process.exit(0);
  if (isUpToDate(prebuilt, true)) process.exit(0);
}

/** Standard output of a command, or undefined when it cannot be run or fails. */
function output(command, args) {
  const result = spawnSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  return result.status === 0 ? result.stdout : undefined;
}

function fail(lines) {
  console.error(`\n${lines.join('\n')}\n`);
  process.exit(1);
}

/** What C++20 compilers older than g++ 11 and clang 14 refuse. */
const CXX20_PROBE = `#include <bit>
#include <concepts>
#include <span>
template <std::integral T> constexpr T Half(T x) { return x / 2; }
static_assert(Half(4) == 2 && std::bit_cast<unsigned>(1.0f) == 0x3f800000u);
int main() { int x[1] = {0}; return std::span<int>(x)[0]; }
`;

/** The first compiler that accepts C++20, and a line on each that does not. */
function findCompiler() {
  const rejected = [];
  const folder = mkdtempSync(join(tmpdir(), 'atb-models-'));
  try {
    const probe = join(folder, 'probe.cpp');
    writeFileSync(probe, CXX20_PROBE);
    const usual = ['c++', 'g++', 'clang++'];
    // Only clang has libFuzzer; Debian's packages give it a name with a version.
    const clangs = ['clang++', ...[19, 18, 17, 16, 15, 14].map((version) => `clang++-${version}`)];
    const names = process.env.CXX ? [process.env.CXX] : options.fuzz ? [...clangs, ...usual] : usual;
    for (const name of names) {
      const version = output(name, ['--version'])?.split('\n')[0];
      if (version === undefined) continue;
      if (output(name, ['-std=c++20', '-fsyntax-only', probe]) !== undefined)
        return { compiler: name, rejected };
      rejected.push(`${name} is "${version}", which does not compile C++20`);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return { compiler: undefined, rejected };
}

/** CMake's arguments for a fresh build folder, after checking that the tools are there. */
function checkTools() {
  const missing = [];
  const cmake = output('cmake', ['--version'])?.match(/version (\d+)\.(\d+)\S*/);
  if (!cmake) missing.push('CMake 3.20 or newer');
  else if (Number(cmake[1]) < 3 || (Number(cmake[1]) === 3 && Number(cmake[2]) < 20))
    missing.push(`CMake 3.20 or newer (found ${cmake[0].slice(8)})`);
  const args = [];
  if (isCross) {
    const compiler = `${CROSS[options.arch]}-linux-gnu-g++`;
    if (output(compiler, ['--version']) === undefined)
      missing.push(`${compiler}, the compiler for ${platform}`);
    args.push('-DCMAKE_SYSTEM_NAME=Linux', `-DCMAKE_SYSTEM_PROCESSOR=${CROSS[options.arch]}`);
    args.push(`-DCMAKE_CXX_COMPILER=${compiler}`);
    if (output('ninja', ['--version']) !== undefined) args.push('-G', 'Ninja');
  } else if (!windows) {
    const { compiler, rejected } = findCompiler();
    if (compiler) args.push(`-DCMAKE_CXX_COMPILER=${compiler}`);
    else
      missing.push(
        `a C++20 compiler: g++ 11+ or clang++ 14+${rejected.length > 0 ? ` (${rejected.join('; ')})` : ''}`,
      );
    if (output('ninja', ['--version']) !== undefined) args.push('-G', 'Ninja');
    else if (output('make', ['--version']) === undefined) missing.push('make or ninja');
  }
  if (missing.length > 0)
    fail([
      `atb-models: cannot build the native addon for ${platform}. Missing:`,
      ...missing.map((what) => `  - ${what}`),
      `Install what is missing, then run \`${isDependency ? 'npm rebuild atb-models' : 'npm run build:native'}\`:`,
      '  Debian/Ubuntu  sudo apt-get install cmake g++ make',
      '  Fedora         sudo dnf install cmake gcc-c++ make',
      '  macOS          xcode-select --install && brew install cmake',
      '  Windows        use WSL, then the Debian line: the native engine reads files through POSIX calls',
      'To install without the addon, set ATB_SKIP_NATIVE_BUILD=1.',
    ]);
  return args;
}

function run(what, args) {
  const stdio = options.verbose ? 'inherit' : ['ignore', 'pipe', 'pipe'];
  const result = spawnSync('cmake', args, { cwd: root, stdio, encoding: 'utf8', maxBuffer: 1 << 28 });
  if (result.error) fail([`atb-models: cannot run cmake: ${result.error.message}`]);
  if (result.status !== 0)
    fail([result.stdout ?? '', result.stderr ?? '', `atb-models: ${what} failed (see above)`]);
}

const sanitizers = options.fuzz ? ['address', 'undefined'] : options.sanitize.split(',').filter(Boolean);
const type = options.debug ? 'Debug' : sanitizers.length > 0 ? 'None' : 'Release';
// Two compilers do not share a folder.
const compiler = process.env.CXX ? `-${basename(process.env.CXX)}` : '';
const kind = options.fuzz
  ? `fuzz${compiler}`
  : sanitizers.length > 0
    ? `sanitize-${sanitizers.join('-')}${compiler}`
    : type.toLowerCase();
const folder = isCross ? `${kind}-${platform}` : kind;
const build = join(root, 'build', folder);
const addon = join(build, 'atb_models.node');
const started = process.hrtime.bigint();

// CMake keeps the source folder and the generator in its cache; a moved or half-made build folder starts afresh.
const cache = join(build, 'CMakeCache.txt');
const source = join(root, 'native');
const configured =
  existsSync(cache) && readFileSync(cache, 'utf8').includes(`CMAKE_HOME_DIRECTORY:INTERNAL=${source}\n`);
const tables = wantedTables();
const toolArgs = configured ? [] : checkTools();
if (!configured) rmSync(build, { recursive: true, force: true });
run('configuring', [
  ...['-S', source, '-B', build, `-DCMAKE_BUILD_TYPE=${type}`, '-DCMAKE_EXPORT_COMPILE_COMMANDS=ON'],
  ...toolArgs,
  `-DATB_TABLES=${tables}`,
  ...(options.tests ? ['-DATB_TESTS=ON'] : []),
  ...(options.bench ? ['-DATB_BENCH=ON'] : []),
  ...(options.fuzz ? ['-DATB_FUZZ=ON'] : []),
  // Enough optimisation to be quick, and the lines that a finding is on.
  ...(sanitizers.length > 0
    ? [`-DATB_SANITIZE=${sanitizers.join(',')}`, '-DATB_ADDON=OFF', '-DCMAKE_CXX_FLAGS=-O1 -g1']
    : []),
]);
const everything = options.tests || options.bench || options.fuzz;
const targets = options.only
  ? options.only.split(',')
  : everything
    ? []
    : [sanitizers.length > 0 ? 'atb_engine' : 'atb_models'];
run('compiling', [
  ...['--build', build, '--config', type, '--parallel', String(availableParallelism())],
  ...(targets.length > 0 ? ['--target', ...targets] : []),
]);
const buildsAddon = sanitizers.length === 0 && (targets.length === 0 || targets.includes('atb_models'));
if (buildsAddon) writeFileSync(stampOf(addon), stampText(tables));
if (options.prebuild) {
  mkdirSync(dirname(prebuilt), { recursive: true });
  copyFileSync(addon, prebuilt);
  copyFileSync(stampOf(addon), stampOf(prebuilt));
}
const seconds = Number(process.hrtime.bigint() - started) / 1e9;
const built = options.prebuild ? prebuilt : buildsAddon ? addon : build;
console.log(
  `native ${buildsAddon ? 'addon' : 'programs'}: ${relative(root, built)} (${seconds.toFixed(1)} s)`,
);
