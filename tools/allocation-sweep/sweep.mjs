// Fails every allocation of the addon in a load and two requests: one at a time, and all from one on. Each must end in
// a typed error, and in an engine that can be used or disposed; a process that ends, hangs, or throws anything else is
// a finding. Linux with glibc; needs the built addon (npm run build:native) and dist/ (npm run build:js).
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseFlags, refuse } from '../../scripts/flags.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '../..');
const USAGE = `npm run test:allocations -- [flags]
  --mode one|all|both   one allocation fails, or all from one on (both)
  --from N, --to N      which allocations, the first and the last (all)
  --every N             only every so many (1)
  --model DIR           the checkpoint that is loaded (the draft of the bundled one)`;
const { values: options } = parseFlags(USAGE, {
  every: { type: 'string', default: '1' },
  from: { type: 'string', default: '1' },
  to: { type: 'string' },
  mode: { type: 'string', default: 'both' },
  model: { type: 'string', default: join(root, 'examples/models/tiny-stories-draft') },
});
for (const name of ['every', 'from', 'to'])
  if (!/^[1-9]\d*$/.test(options[name] ?? '1')) refuse(USAGE, `--${name} takes a whole number from 1 on, found ${options[name]}`);
if (!['one', 'all', 'both'].includes(options.mode)) refuse(USAGE, `no mode ${options.mode}`);
/** A process that says nothing for this long hangs in native code, where its own clock does not run. */
const SILENCE_MS = 60_000;

function fail(message) {
  console.error(message);
  process.exit(1);
}

function buildShim() {
  const source = join(here, 'failing_allocator.c');
  const shim = join(root, 'build/allocation-sweep/failing_allocator.so');
  if (existsSync(shim) && statSync(shim).mtimeMs > statSync(source).mtimeMs) return shim;
  mkdirSync(dirname(shim), { recursive: true });
  const compiler = process.env.CC ?? 'cc';
  const built = spawnSync(compiler, ['-O1', '-shared', '-fPIC', '-o', shim, source, '-ldl'], { encoding: 'utf8' });
  if (built.status !== 0) fail(`cannot build the allocator: ${built.stderr ?? built.error}`);
  return shim;
}

const shim = buildShim();
const folder = mkdtempSync(join(tmpdir(), 'atb-allocations-'));
const control = join(folder, 'control');
writeFileSync(control, Buffer.alloc(4096));

/** Runs one victim; calls `onLine` with each line that it prints. Resolves with how it ended. */
function victim(from, to, mode, onLine) {
  const args = [join(here, 'victim.mjs'), control, options.model, from, to, options.every, mode].map(String);
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, LD_PRELOAD: shim, ATB_ALLOCATION_CONTROL: control },
  });
  return new Promise((resolve) => {
    let errors = '';
    let silent = false;
    let timer;
    const heard = () => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        silent = true;
        child.kill('SIGKILL');
      }, SILENCE_MS);
    };
    heard();
    child.stderr.on('data', (text) => {
      errors = (errors + text).slice(-2000);
    });
    createInterface({ input: child.stdout }).on('line', (line) => {
      heard();
      onLine(JSON.parse(line));
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ ok: code === 0, how: silent ? 'hangs' : `ends with ${signal ?? code}: ${errors.trim()}` });
    });
  });
}

async function count() {
  let found = 0;
  const { ok, how } = await victim(0, 0, 'one', (line) => {
    found = line.count;
  });
  if (!ok || found === 0) fail(`cannot count the allocations: the process ${how}`);
  return found;
}

const findings = [];
async function sweep(mode, last) {
  const outcomes = new Map();
  let next = Number(options.from);
  let failures = 0;
  while (next <= last) {
    let at = next;
    let open = false;
    const { ok, how } = await victim(next, last, mode, (line) => {
      at = line.nth;
      open = line.begins === true;
      if (open) return;
      if (line.failed > 0) failures++;
      const kind = line.failed > 0 ? line.outcome.split('\n')[0] : `${line.outcome} (no allocation failed)`;
      outcomes.set(kind, (outcomes.get(kind) ?? 0) + 1);
      if (line.outcome.startsWith('FINDING')) findings.push(`${mode} ${line.nth}: ${line.outcome}`);
    });
    if (ok) break;
    if (open) {
      findings.push(`${mode} ${at}: the process ${how}`);
      outcomes.set('FINDING process', (outcomes.get('FINDING process') ?? 0) + 1);
    }
    next = at + Number(options.every);
  }
  console.log(`${mode === 'one' ? 'one fails' : 'all fail from one on'}: ${failures} runs with failures`);
  for (const [kind, times] of outcomes) console.log(`  ${times} x ${kind}`);
}

try {
  const allocations = await count();
  console.log(`${allocations} allocations in a load and two requests`);
  // Threads take turns differently in each run, so that a few more allocations may come.
  const last = Number(options.to ?? Math.ceil(allocations * 1.02));
  for (const mode of ['one', 'all']) if (['both', mode].includes(options.mode)) await sweep(mode, last);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
for (const finding of findings.slice(0, 50)) console.log(`FINDING ${finding}`);
console.log(`${findings.length} findings`);
process.exitCode = findings.length > 0 ? 1 : 0;
