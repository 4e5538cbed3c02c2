import { join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { LLM } from '../src/index.js';

/** A dialogue, line by line, until the input ends: `node dist/examples/chat.js [DIR]`. */
const [dir = join(import.meta.dirname, '../../examples/models/tiny-stories')] = process.argv.slice(2);

const llm = await LLM.load(dir);
const chat = llm.chat();
const lines = createInterface({ input: process.stdin });
try {
  for await (const line of lines) {
    for await (const { text } of chat.send(line, { maxTokens: 40, temperature: 0.7, seed: 1 }))
      process.stdout.write(text);
    process.stdout.write('\n');
  }
  const { prefixHitTokens, prefixQueriedTokens } = llm.stats;
  console.error(`${prefixHitTokens} of ${prefixQueriedTokens} prompt tokens were in the cache`);
} finally {
  lines.close();
  await llm.dispose();
}
