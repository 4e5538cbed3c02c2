import { join } from 'node:path';
import { LLM } from '../../src/index.js';

/**
 * Loads the bundled checkpoint COUNT times, with an answer each, and prints by how many bytes the process has grown:
 * `node --expose-gc dist/test/engine/load-many.js [COUNT] [BOUND]`. Where it has grown by BOUND bytes or more it does so
 * again, twice at most: what warms up grows once, a leak every time.
 */
const count = Number(process.argv[2] ?? 1000);
const bound = Number(process.argv[3] ?? Number.POSITIVE_INFINITY);
const modelPath = join(import.meta.dirname, '../../../examples/models/tiny-stories');
/** Loads after which allocators and compiled code have their size. */
const WARM = 60;
const PARTS = 4;

async function residentAfter(loads: number): Promise<number> {
  for (let i = 0; i < loads; i++) {
    const llm = await LLM.load(modelPath, { threads: 1, maxNumSeqs: 2 });
    await llm.generate('Once', { maxTokens: 2 });
    await llm.dispose();
    if (i % 10 === 9) globalThis.gc?.();
  }
  // Native memory is freed on the engine's own thread.
  await new Promise((resolve) => setTimeout(resolve, 200));
  globalThis.gc?.();
  return process.memoryUsage().rss;
}

/** Of several readings the least: what collectors have not got round to is no growth. */
async function leastResidentAfter(loads: number): Promise<number> {
  const readings: number[] = [];
  for (let part = 0; part < PARTS; part++) readings.push(await residentAfter(Math.ceil(loads / PARTS)));
  return Math.min(...readings);
}

await residentAfter(WARM);
let before = await leastResidentAfter(count / 2);
let growth = Number.POSITIVE_INFINITY;
for (let turn = 0; turn < 3 && growth >= bound; turn++) {
  const after = await leastResidentAfter(count / 2);
  growth = after - before;
  before = after;
}
console.log(growth);
