#!/usr/bin/env node
// Committed with mode 755, so that a clean rebuild of dist/ keeps `npx atb-models` working.
import { start } from './start.mjs';

await start('dist/src/cli/main.js');
