import { join } from 'node:path';
import { LLM } from '../../src/index.js';

/**
 * Loads the bundled checkpoint many times, with an answer each, and prints by how many bytes the process has grown since it
 * was warm: `node --expose-gc dist/test/engine/load-many.js [COUNT]`.
 */
const count = Number(process.argv[2] ?? 1000);
const modelPath = join(import.meta.dirname, '../../../examples/models/tiny-stories');
/** Loads after which allocators and compiled code have their size. */
const WARM = 20;

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

const before = await residentAfter(WARM);
const after = await residentAfter(count);
console.log(after - before);
