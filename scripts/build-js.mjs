// Compiles the TypeScript into dist/, and removes from there what is left of sources that are gone: the package would
// bring it along, and a model directory among it would still be found. `npm run build:js`; not `build`, because npm runs
// a script named `prebuild` before one of that name, and `npm run prebuild` compiles the addon.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseFlags } from './flags.mjs';

const USAGE = `npm run build:js -- [flags]
  --unchecked   without looking for errors of types, in half the time
  --untyped     without declarations (.d.ts), too, in a quarter of it: enough to run, not to be imported in TypeScript`;
const { values: options } = parseFlags(USAGE, {
  unchecked: { type: 'boolean', default: false },
  untyped: { type: 'boolean', default: false },
});
const root = fileURLToPath(new URL('..', import.meta.url));
const args = [join(root, 'node_modules/typescript/bin/tsc'), '-p', root];
if (options.unchecked || options.untyped) args.push('--noCheck');
if (options.untyped) args.push('--declaration', 'false');
const { status } = spawnSync(process.execPath, args, { stdio: 'inherit' });
removeLeftovers('');
process.exitCode = status ?? 1;

/** `folder`: below dist/, and below the root that its sources are in. */
function removeLeftovers(folder) {
  for (const entry of readdirSync(join(root, 'dist', folder), { withFileTypes: true })) {
    const path = join(folder, entry.name);
    const output = join(root, 'dist', path);
    if (entry.isDirectory()) {
      removeLeftovers(path);
      if (readdirSync(output).length === 0) rmdirSync(output);
      continue;
    }
    const source = path.replace(/(\.js|\.js\.map|\.d\.ts)$/, '.ts');
    if (source !== path && !existsSync(join(root, source))) rmSync(output);
  }
}
