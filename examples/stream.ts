import { join } from 'node:path';
import { LLM } from '../src/index.js';

/** Streams one answer: `node dist/examples/stream.js [DIR [PROMPT]]`. In a program of yours, import from 'atb-models'. */
const [dir = join(import.meta.dirname, '../../examples/models/tiny-stories'), prompt = 'Once upon a time'] =
  process.argv.slice(2);

const llm = await LLM.load(dir);
// Ctrl-C ends the answer, not the program: what has come so far stays.
const aborter = new AbortController();
process.once('SIGINT', () => aborter.abort());
try {
  process.stdout.write(prompt);
  const { signal } = aborter;
  for await (const { text } of llm.stream(prompt, { signal, maxTokens: 60, temperature: 0.7, seed: 1 }))
    process.stdout.write(text);
  process.stdout.write('\n');
} finally {
  await llm.dispose();
}
