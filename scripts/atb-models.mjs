#!/usr/bin/env node
// Committed with mode 755, so that a clean rebuild of dist/ keeps `npx atb-models` working.
import { existsSync } from 'node:fs';

const entry = new URL('../dist/src/cli/main.js', import.meta.url);
if (!existsSync(entry)) {
  console.error('dist/ is missing. Run `npm run build` first.');
  process.exit(1);
}
await import(entry.href);
