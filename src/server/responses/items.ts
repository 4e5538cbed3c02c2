import { z } from 'zod';
import type { ChatMessage } from '../../tokenizer/chat-template.js';
import { invalidRequest } from '../http-error.js';
import type { Tool, ToolChoice } from '../openai/conversation.js';
import { parseArguments } from '../openai/conversation.js';

const item = z.looseObject({ type: z.string().nullish(), role: z.string().nullish() });
type Item = z.infer<typeof item>;

export const conversationFields = {
  input: z.union([z.string(), z.array(item)]),
  instructions: z.string().nullish(),
  tools: z
    .array(
      z.looseObject({
        type: z.string(),
        name: z.string().nullish(),
        description: z.string().nullish(),
        parameters: z.record(z.string(), z.unknown()).nullish(),
      }),
    )
    .max(128)
    .nullish(),
  tool_choice: z
    .union([
      z.enum(['none', 'auto', 'required']),
      z.looseObject({ type: z.string(), name: z.string().nullish() }),
    ])
    .nullish(),
};
const fields = z.object(conversationFields);
type Conversation = z.infer<typeof fields>;

/** The items of the Responses API as messages: calls stand with the assistant's words, their results follow. */
export function messagesOf({ input, instructions }: Conversation): ChatMessage[] {
  const begin: ChatMessage[] = instructions ? [{ role: 'system', content: instructions }] : [];
  if (typeof input === 'string') return [...begin, { role: 'user', content: input }];
  return [...begin, ...input.map((given, i) => messageOf(given, `input.${i}`))];
}

function messageOf(given: Item, place: string): ChatMessage {
  switch (given.type ?? 'message') {
    case 'message': {
      const role = given.role === 'developer' ? 'system' : (given.role ?? 'user');
      return { role, content: textOf(given.content, `${place}.content`) };
    }
    case 'function_call': {
      const call = { name: given.name, arguments: parseArguments(textOf(given.arguments, place), place) };
      return {
        role: 'assistant',
        content: '',
        tool_calls: [{ id: given.call_id, type: 'function', function: call }],
      };
    }
    case 'function_call_output':
      return { role: 'tool', tool_call_id: given.call_id, content: textOf(given.output, `${place}.output`) };
    case 'reasoning':
      return {
        role: 'assistant',
        content: '',
        reasoning_content: textOf(given.content ?? '', `${place}.content`),
      };
    default:
      throw invalidRequest(`an item of type "${given.type}" is not read here`, place);
  }
}

/** A text, or parts of one. */
function textOf(given: unknown, place: string): string {
  if (typeof given === 'string') return given;
  if (!Array.isArray(given)) throw invalidRequest('must be a text or a list of parts', place);
  return given
    .map((part: unknown, at) => {
      const { type, text } = (typeof part === 'object' && part !== null ? part : {}) as Record<
        string,
        unknown
      >;
      const isText = ['input_text', 'output_text', 'reasoning_text', 'text'].includes(String(type));
      if (isText && typeof text === 'string') return text;
      throw invalidRequest(`a part of type "${String(type)}": this model reads text only`, `${place}.${at}`);
    })
    .join('\n');
}

export function toolsOf({ tools }: Conversation): Tool[] {
  return (tools ?? []).map(({ type, name, description, parameters }, i) => {
    if (type !== 'function' || !name)
      throw invalidRequest(`a tool of type "${type}": only functions of the client's run here`, `tools.${i}`);
    return { type, function: { name, description, parameters } };
  });
}

export function toolChoiceOf({ tool_choice: choice }: Conversation): ToolChoice {
  if (typeof choice !== 'object' || choice === null) return choice ?? 'auto';
  return { type: 'function', function: { name: choice.name ?? '' } };
}
