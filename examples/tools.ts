import { join } from 'node:path';
import { z } from 'zod';
import { type ChatMessage, LLM } from '../src/index.js';

/**
 * Lets a model choose a tool, runs it, and hands back what it found: `node dist/examples/tools.js [DIR [QUESTION]]`. A model
 * that was trained for tools says by itself when it wants one (`answerFormat`, `answerReader`); here it must, and a schema
 * makes sure that the call can be read.
 */
const [
  dir = join(import.meta.dirname, '../../examples/models/tiny-stories'),
  question = 'What can Lily see?',
] = process.argv.slice(2);

const look = z.object({ tool: z.literal('look'), where: z.enum(['park', 'house', 'sea']) });
const count = z.object({ tool: z.literal('count'), what: z.string().max(10) });
const call = z.object({ call: z.union([look, count]) });

const SEEN = { park: 'a big tree and a dog', house: 'a red door', sea: 'a boat' };
function run(wanted: z.infer<typeof look> | z.infer<typeof count>): string {
  return wanted.tool === 'look' ? SEEN[wanted.where] : `${wanted.what.length} ${wanted.what}`;
}

const llm = await LLM.load(dir);
try {
  const messages: ChatMessage[] = [{ role: 'user', content: question }];
  const { call: wanted } = await llm.generate(messages, { schema: call, maxTokens: 60 });
  const found = run(wanted);
  console.log(`${wanted.tool}: ${found}`);
  messages.push({ role: 'user', content: `The answer is: ${found}. Tell a story about it.` });
  for await (const { text } of llm.stream(messages, { maxTokens: 40 })) process.stdout.write(text);
  process.stdout.write('\n');
} finally {
  await llm.dispose();
}
