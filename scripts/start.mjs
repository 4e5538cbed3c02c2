// How both commands begin: whatever can be missing is said in one line.
import { existsSync } from 'node:fs';

/** `engines` of package.json, which npm only warns about. */
const OLDEST = [20, 19];

/** Runs a built file, given by its path from the root of the package. */
export async function start(path) {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1]))
    fail(`Node.js ${OLDEST.join('.')} or newer is needed, this is ${process.versions.node}`);
  const entry = new URL(`../${path}`, import.meta.url);
  if (!existsSync(entry)) fail('dist/ is missing; run `npm run build:js`');
  await import(entry.href);
}

function fail(message) {
  console.error(`atb-models: ${message}`);
  process.exit(1);
}
