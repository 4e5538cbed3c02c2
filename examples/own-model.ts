import { join } from 'node:path';
import { LLM } from '../src/index.js';

/**
 * Runs a checkpoint of a family that is in a folder of your own, here examples/my-models:
 * `node dist/examples/own-model.js DIR [TOKEN…]`. Prompts may be token ids, which need no tokenizer.
 */
const [dir = '', ...tokens] = process.argv.slice(2);

const llm = await LLM.load(dir, {
  modelDirs: [join(import.meta.dirname, 'my-models')],
  loadTokenizer: false,
});
try {
  const answer = await llm.generate(tokens.map(Number), { maxTokens: 8, ignoreEos: true });
  console.log(`${llm.runner.config.modelType}: ${answer.tokens.join(' ')}`);
} finally {
  await llm.dispose();
}
