import { join } from 'node:path';
import { LLM } from '../src/index.js';

/** Answers several prompts together, each twice: `node dist/examples/batch.js [DIR [PROMPT…]]`. */
const [dir = join(import.meta.dirname, '../../examples/models/tiny-stories'), ...given] =
  process.argv.slice(2);
const prompts = given.length > 0 ? given : ['The cat', 'One day, a boy', 'Mom said'];

const llm = await LLM.load(dir, { maxNumSeqs: 2 * prompts.length });
try {
  const completions = await llm.generate(prompts, {
    n: 2,
    maxTokens: 20,
    temperature: 0.8,
    seed: 1,
    stop: '.',
  });
  for (const [index, { outputs }] of completions.entries())
    for (const { text, finishReason, seed } of outputs)
      console.log(`${prompts[index]}${text}  [${finishReason}, seed ${seed}]`);
} finally {
  await llm.dispose();
}
