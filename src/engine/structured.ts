import { z } from 'zod';
import type { LLMPrompt } from './encode-prompt.js';
import type { LLM } from './llm.js';
import type { StreamOptions } from './llm-options.js';

/** A schema of zod's, as far as types go: those of zod itself would ask every importer for a TypeScript as new as it. */
export interface ValueSchema<T> {
  parse(value: unknown): T;
}

export interface SchemaOptions<T> extends Omit<StreamOptions, 'guide'> {
  /** The answer is JSON of this schema of zod's, and what it parses to is returned. */
  readonly schema: ValueSchema<T>;
}

/**
 * The value that a model writes for a schema.
 * @throws what `LLM.start` throws, GUIDE_INVALID, GUIDE_UNSUPPORTED, GUIDE_NO_ROOM; zod's error where a check of the schema
 * that JSON Schema cannot say (`refine`) refuses the value
 */
export async function completeAs<T>(llm: LLM, prompt: LLMPrompt, options: SchemaOptions<T>): Promise<T> {
  const { schema, ...rest } = options;
  const guide = { jsonSchema: z.toJSONSchema(schema as z.ZodType<T>, { io: 'input' }) };
  const generation = await llm.start(prompt, { ...rest, guide });
  const { text } = await generation.result;
  return schema.parse(JSON.parse(text));
}
