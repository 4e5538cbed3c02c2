// Runs the fuzz targets: those of native/fuzz/ under AddressSanitizer and UndefinedBehaviorSanitizer (libFuzzer where a
// clang is found, else random bytes), and the JavaScript mutators of test/fuzz/. Says how many executions each made.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseFlags, refuse } from './flags.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const NATIVE = readdirSync(join(root, 'native/fuzz'))
  .filter((name) => name.endsWith('_fuzz.cpp'))
  .map((name) => name.slice(0, -'_fuzz.cpp'.length));
const MUTATORS = ['headers', 'gguf', 'indexes', 'configs', 'templates', 'sampling', 'engine'];
const USAGE = `npm run fuzz -- [flags] [TARGET ...]
  --seconds N   for each target (60)
  --seed N      of the draws
Targets, all when none is named: ${[...NATIVE, ...MUTATORS].join(', ')}`;
const { values: options, positionals } = parseFlags(
  USAGE,
  {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
  },
  true,
);
const unknown = positionals.filter((name) => ![...NATIVE, ...MUTATORS].includes(name));
if (unknown.length > 0) refuse(USAGE, `no target ${unknown}`);
const chosen = (names) => names.filter((name) => positionals.length === 0 || positionals.includes(name));
const compiler = process.env.CXX ? `-${basename(process.env.CXX)}` : '';
const build = join(root, `build/fuzz${compiler}`);
const failed = [];

if (chosen(NATIVE).length > 0) {
  const flags = [join(root, 'scripts/build-native.mjs'), '--fuzz'];
  if (spawnSync(process.execPath, flags, { stdio: 'inherit' }).status !== 0) process.exit(1);
}
for (const name of chosen(NATIVE)) {
  // What reached new code is kept, so that the next run begins there.
  const corpus = join(root, 'build/fuzz-corpus', name);
  mkdirSync(corpus, { recursive: true });
  const limits = [`-max_total_time=${options.seconds}`, '-rss_limit_mb=4000', '-timeout=30'];
  // Weighing inputs by how rare their paths are took half of the time of graphs.
  const flags = [...limits, `-seed=${options.seed}`, '-entropic=0', '-print_final_stats=1', corpus];
  const run = spawnSync(join(build, `${name}_fuzz`), flags, {
    cwd: corpus,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  const executions = /number_of_executed_units: (\d+)/.exec(run.stderr)?.[1] ?? 'unknown';
  console.log(`${name}: ${executions} executions, seed ${options.seed}`);
  for (const line of run.stderr.match(/^(accepted|refused|no recipe|the recipe) .*$/gm) ?? [])
    console.log(`  ${line}`);
  if (run.status === 0) continue;
  failed.push(name);
  console.log(run.stderr.slice(-8000));
}
const mutators = join(root, 'dist/test/fuzz/run.js');
if (chosen(MUTATORS).length > 0 && !existsSync(mutators)) {
  console.error('the JavaScript mutators are not built: npm run build:js');
  process.exit(1);
}
for (const name of chosen(MUTATORS)) {
  const args = [mutators, name, options.seconds, options.seed];
  if (spawnSync(process.execPath, args, { stdio: 'inherit' }).status !== 0) failed.push(name);
}
console.log(failed.length === 0 ? 'no findings' : `findings in ${failed.join(', ')}`);
process.exitCode = failed.length === 0 ? 0 : 1;
