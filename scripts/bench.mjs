// `npm run bench -- [serving | throughput] [flags]`: builds what the benchmark needs, in its own package under bench/, and runs
// it. `--help` shows what there is, before anything is built.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const node = (...args) => [process.execPath, args];
const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';

const given = process.argv.slice(2);
const command = ['serving', 'throughput'].includes(given[0]) ? given[0] : 'main';
const flags = command === 'main' ? given : given.slice(1);

/** Each command of bench/commands.json, or the one that is asked for. */
function help() {
  const commands = JSON.parse(readFileSync(`${root}bench/commands.json`, 'utf8'));
  for (const [name, { usage, what, flags }] of Object.entries(commands)) {
    if (command !== 'main' && command !== name) continue;
    const width = Math.max(...Object.keys(flags).map(({ length }) => length));
    const rows = Object.entries(flags).map(([flag, [standard, meaning]]) => {
      return `  --${flag.padEnd(width)}  ${meaning}${standard === '' ? '' : ` (${standard})`}`;
    });
    console.log(`${usage}\n${what}.\n\n${rows.join('\n')}\n`);
  }
}

function run([command, args], stdio = 'inherit') {
  const { status } = spawnSync(command, args, { cwd: root, stdio });
  if (status !== 0) process.exit(status ?? 1);
}

if (flags.includes('--help') || flags.includes('-h')) {
  help();
  process.exit(0);
}
run(node('scripts/build-native.mjs', '--bench'));
run(node('scripts/build-js.mjs'));
if (!existsSync(`${root}bench/node_modules`)) {
  // The peer's binaries come inside its packages; its install scripts would only look for a GPU.
  run([
    npm,
    ['install', '--prefix', 'bench', '--ignore-scripts', '--no-audit', '--no-fund', '--no-package-lock'],
  ]);
}
run(node('node_modules/typescript/bin/tsc', '-p', 'bench'));
run(node(`bench/dist/${command}.js`, ...flags));
