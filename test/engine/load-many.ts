import { join } from 'node:path';
import { LLM } from '../../src/index.js';

/**
 * Loads the bundled checkpoint many times, with an answer each, and prints by how many bytes the process has grown since it
 * was warm: `node --expose-gc dist/test/engine/load-many.js [COUNT]`.
 */
const count = Number(process.argv[2] ?? 1000);
const modelPath = join(import.meta.dirname, '../../../examples/models/tiny-stories');
/** Loads after which allocators and compiled code have their size. */
const WARM = 60;
const PARTS = 8;

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

// Of several readings the least: what collectors have not got round to is no growth.
await residentAfter(WARM);
const readings: number[] = [];
for (let part = 0; part < PARTS; part++) readings.push(await residentAfter(Math.ceil(count / PARTS)));
const [before, after] = [readings.slice(0, PARTS / 2), readings.slice(PARTS / 2)];
console.log(Math.min(...after) - Math.min(...before));
