// What npm runs in a clone after `npm install`: the addon and the JavaScript are built side by side, since each alone
// leaves cores idle. Types are not checked here, but by `npm run build:js` and `npm test`; kernels for other CPUs than this
// one are compiled by `npm run build:native`, `npm run prebuild` and `npm test`. Declarations of types are made only where
// others import the package: they take longer than all else of the JavaScript.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** Resolves to the script's exit status. */
const run = (script, ...args) =>
  new Promise((resolve, reject) => {
    const path = fileURLToPath(new URL(script, import.meta.url));
    const child = spawn(process.execPath, [path, ...args], { stdio: 'inherit' });
    child.once('error', reject).once('exit', (status) => resolve(status ?? 1));
  });

// npm names the folder that it packs or links as a dependency, and nothing where it only installs.
const isImported = process.env.npm_package_resolved !== undefined;
const statuses = await Promise.all([
  run('build-native.mjs', '--if-needed', '--this-cpu'),
  run('build-js.mjs', isImported ? '--unchecked' : '--untyped'),
]);
process.exitCode = Math.max(...statuses);
