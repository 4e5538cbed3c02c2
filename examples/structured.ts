import { join } from 'node:path';
import { z } from 'zod';
import { LLM } from '../src/index.js';

/** Asks for a value of a schema, and gets one: `node dist/examples/structured.js [DIR [PROMPT]]`. */
const [
  dir = join(import.meta.dirname, '../../examples/models/tiny-stories'),
  prompt = 'A story about a child: ',
] = process.argv.slice(2);

const story = z.object({
  hero: z.string().max(12),
  age: z.int().min(1).max(12),
  mood: z.enum(['happy', 'sad', 'brave']),
});

const llm = await LLM.load(dir);
try {
  // `hero` is a text and `age` a number, also for the compiler.
  const { hero, age, mood } = await llm.generate(prompt, { schema: story, maxTokens: 80 });
  console.log(`${hero}, ${age} years old, is ${mood}`);
  const { text } = await llm.generate(prompt, { guide: { regex: '(Once|One day), [a-z ]{10,30}\\.' } });
  console.log(text);
} finally {
  await llm.dispose();
}
