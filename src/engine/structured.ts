import { z } from 'zod';
import { AtbError, refuseRequest } from '../errors.js';
import type { Answerer } from './answerer.js';
import { complete } from './completion.js';
import type { LLMPrompt } from './encode-prompt.js';
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
 * The values that a model writes for a schema, one for each prompt.
 * @throws what `LLM.start` throws, GUIDE_INVALID, GUIDE_UNSUPPORTED, GUIDE_NO_ROOM; zod's error where a check of the schema
 * that JSON Schema cannot say (`refine`) refuses a value
 */
export async function completeAs<T>(
  llm: Answerer,
  prompts: readonly LLMPrompt[],
  options: SchemaOptions<T>,
): Promise<T[]> {
  const { schema, ...rest } = options;
  if (typeof schema !== 'object' || schema === null || !('_zod' in schema))
    refuseRequest(
      'schema',
      'a schema of zod 4; one of JSON Schema is the option guide: { jsonSchema }',
      schema,
    );
  const { guide: given, grammar }: StreamOptions = rest;
  for (const [field, value] of Object.entries({ guide: given, grammar }))
    if (value !== undefined) refuseRequest(field, 'absent beside a schema, which says the form', value);
  for (const field of ['stop', 'stopTokenIds'] as const)
    if (options[field]?.length)
      refuseRequest(field, 'absent beside a schema, whose JSON it could cut', options[field]);
  const guide = { jsonSchema: jsonSchemaOf(schema as z.ZodType<T>) };
  const completions = await complete(llm, prompts, { ...rest, guide });
  return completions.map(({ text }) => schema.parse(JSON.parse(text)));
}

function jsonSchemaOf(schema: z.ZodType): unknown {
  try {
    return z.toJSONSchema(schema, { io: 'input' });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new AtbError(
      'GUIDE_UNSUPPORTED',
      { what: 'the schema', found: `a part of it: ${reason}` },
      { cause },
    );
  }
}
