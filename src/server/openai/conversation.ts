import { z } from 'zod';
import { describeValue } from '../../describe-value.js';
import { isObject } from '../../is-object.js';
import type { ChatMessage } from '../../tokenizer/chat-template.js';
import { parseWritten } from '../../tokenizer/written-numbers.js';
import { unreadText } from '../foreign-parts.js';
import { invalidRequest } from '../http-error.js';

export const MAX_TOOLS = 128;
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

const named = z.object({ type: z.literal('function'), function: z.object({ name: z.string() }) });
/** Some of the tools, of which the model may call one, or must. */
const allowed = z.object({
  type: z.literal('allowed_tools'),
  allowed_tools: z.object({ mode: z.enum(['auto', 'required']), tools: z.array(named) }),
});
export const toolChoice = z.union(
  [z.enum(['none', 'auto', 'required']), named, allowed],
  'must be none, auto, required, or a function or allowed_tools by name',
);
export type ToolChoice = z.infer<typeof toolChoice>;

/** Parts of messages that are texts, with their fields: clients mix the words of two APIs, and send refusals back. */
const TEXT_PARTS: Readonly<Record<string, string>> = {
  text: 'text',
  input_text: 'text',
  output_text: 'text',
  refusal: 'refusal',
};

const calledFunction = z.object({ name: z.string(), arguments: z.string().nullish() });
const part = z.looseObject({ type: z.string() });
export const message = z.looseObject({
  role: z.string().min(1).max(64),
  content: z.union([z.string(), z.array(part)], 'must be a text or a list of parts').nullish(),
  name: z.string().nullish(),
  tool_call_id: z.string().nullish(),
  tool_calls: z
    .array(
      z.looseObject({
        id: z.string().nullish(),
        function: calledFunction,
      }),
    )
    .nullish(),
  function_call: calledFunction.nullish(),
});
export type Message = z.infer<typeof message>;

/**
 * Messages as chat templates take them: `developer` is a system message, arguments of calls are objects as in
 * `transformers`, parts are texts; those of models that see or hear are looked at when they are read.
 */
export function forTemplate(messages: readonly Message[], seesMedia: boolean): ChatMessage[] {
  return messages.map((given, i) => {
    const { tool_calls: calls, role, content } = given;
    return {
      ...given,
      role: role === 'developer' ? 'system' : role,
      ...(Array.isArray(content) && {
        content: content.map((one, at) => {
          if (role === 'tool' && !seesMedia && !isText(one))
            return { type: 'text', text: unreadText(one.type) };
          return partOf(one, `messages.${i}.content.${at}`, seesMedia);
        }),
      }),
      ...(calls && {
        tool_calls: calls.map((call) => ({
          ...call,
          type: 'function',
          function: {
            name: call.function.name,
            arguments: parseArguments(call.function.arguments),
          },
        })),
      }),
    };
  });
}

const isText = ({ type }: z.infer<typeof part>): boolean => Object.hasOwn(TEXT_PARTS, type);

function partOf(given: z.infer<typeof part>, place: string, seesMedia: boolean): z.infer<typeof part> {
  const { type } = given;
  const field = isText(given) ? TEXT_PARTS[type] : undefined;
  if (field !== undefined) {
    const text = given[field];
    if (typeof text !== 'string')
      throw invalidRequest(
        `${place}.${field} must be a text, found ${text === undefined ? 'nothing' : describeValue(text)}`,
        `${place}.${field}`,
      );
    return type === 'text' ? given : { type: 'text', text };
  }
  if (seesMedia && type === 'input_image') return { type: 'image_url', image_url: given.image_url };
  if (!seesMedia) throw invalidRequest(`a part of type "${type}": this model reads text only`, place);
  return given;
}

/**
 * The object, or where the model had written none, its text: it is told what it wrote, as OpenAI's does, and may do better.
 * An agent that could not send it back would be stuck.
 */
export function parseArguments(text: string | null | undefined): object | string {
  if (!text?.trim()) return {};
  try {
    const value = parseWritten(text);
    return isObject(value) ? value : text;
  } catch {
    return text;
  }
}
