// `npm run bench -- --suite quick|full|families|drafts|latent|experts|media [--peer node-llama-cpp] [--json FILE] [--svg FILE]`:
// builds what the benchmark needs, in its own package under bench/, and runs it. `npm run bench -- serving …` runs
// bench/src/serving.ts, and `npm run bench -- throughput …` bench/src/throughput.ts.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const node = (...args) => [process.execPath, args];
const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';

function run([command, args], stdio = 'inherit') {
  const { status } = spawnSync(command, args, { cwd: root, stdio });
  if (status !== 0) process.exit(status ?? 1);
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
const [first, ...others] = process.argv.slice(2);
if (first === 'serving' || first === 'throughput') run(node(`bench/dist/${first}.js`, ...others));
else run(node('bench/dist/main.js', ...process.argv.slice(2)));
