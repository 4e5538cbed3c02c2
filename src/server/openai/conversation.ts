import { z } from 'zod';
import { isObject } from '../../is-object.js';
import type { ChatMessage } from '../../tokenizer/chat-template.js';
import { parseWritten } from '../../tokenizer/written-numbers.js';
import { invalidRequest } from '../http-error.js';

const MAX_TOOLS = 128;
const NAME = /^[\w.-]{1,64}$/;

export const tool = z.object({
  type: z.literal('function'),
  function: z.object({
    name: z.string().regex(NAME, 'must be 1 to 64 letters, digits, _, - or .'),
    description: z.string().nullish(),
    parameters: z.record(z.string(), z.unknown()).nullish(),
    strict: z.boolean().nullish(),
  }),
});
export type Tool = z.infer<typeof tool>;
export const tools = z.array(tool).max(MAX_TOOLS);

export const toolChoice = z.union([
  z.enum(['none', 'auto', 'required']),
  z.object({ type: z.literal('function'), function: z.object({ name: z.string() }) }),
]);
export type ToolChoice = z.infer<typeof toolChoice>;

const part = z.looseObject({ type: z.string() });
export const message = z.looseObject({
  role: z.string().min(1).max(64),
  content: z.union([z.string(), z.array(part)]).nullish(),
  name: z.string().nullish(),
  tool_call_id: z.string().nullish(),
  tool_calls: z
    .array(
      z.looseObject({
        id: z.string().nullish(),
        function: z.object({ name: z.string(), arguments: z.string().nullish() }),
      }),
    )
    .nullish(),
});
export type Message = z.infer<typeof message>;

/**
 * Messages as chat templates take them: `developer` is a system message, arguments of calls are objects as in
 * `transformers`, parts are texts; those of models that see or hear are looked at when they are read.
 */
export function forTemplate(messages: readonly Message[], seesMedia: boolean): ChatMessage[] {
  return messages.map((given, i) => {
    const { tool_calls: calls, role, content } = given;
    for (const [at, { type }] of (Array.isArray(content) ? content : []).entries())
      if (type !== 'text' && !seesMedia)
        throw invalidRequest(
          `a part of type "${type}": this model reads text only`,
          `messages.${i}.content.${at}`,
        );
    return {
      ...given,
      role: role === 'developer' ? 'system' : role,
      ...(calls && {
        tool_calls: calls.map((call, at) => ({
          ...call,
          type: 'function',
          function: {
            name: call.function.name,
            arguments: parseArguments(
              call.function.arguments,
              `messages.${i}.tool_calls.${at}.function.arguments`,
            ),
          },
        })),
      }),
    };
  });
}

export function parseArguments(text: string | null | undefined, place: string): object {
  if (!text) return {};
  try {
    const value = parseWritten(text);
    if (isObject(value)) return value;
  } catch {
    // Said below.
  }
  throw invalidRequest('arguments must be a JSON object, as text', place);
}
