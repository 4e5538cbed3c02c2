import { z } from 'zod';
import { isObject } from '../../is-object.js';
import type { ChatMessage } from '../../tokenizer/chat-template.js';
import { contentOf, type ForeignPart, type ForeignParts } from '../foreign-parts.js';
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
/** Parts that are texts. */
const TEXTS: readonly string[] = ['input_text', 'output_text', 'reasoning_text', 'text'];

const fields = z.object(conversationFields);
type Conversation = z.infer<typeof fields>;

/** The items of the Responses API as messages: calls stand with the assistant's words, their results follow. */
export function messagesOf({ input, instructions }: Conversation, parts: ForeignParts): ChatMessage[] {
  const begin: ChatMessage[] = instructions ? [{ role: 'system', content: instructions }] : [];
  if (typeof input === 'string') return [...begin, { role: 'user', content: input }];
  return [...begin, ...input.map((given, i) => messageOf(given, `input.${i}`, parts))];
}

function messageOf(given: Item, place: string, parts: ForeignParts): ChatMessage {
  switch (given.type ?? 'message') {
    case 'message': {
      const role = given.role === 'developer' ? 'system' : (given.role ?? 'user');
      return { role, content: contentOf(partsOf(given.content, `${place}.content`, parts)) };
    }
    case 'function_call': {
      const call = {
        name: given.name,
        arguments: parseArguments(textOf(given.arguments, place, parts), place),
      };
      return {
        role: 'assistant',
        content: '',
        tool_calls: [{ id: given.call_id, type: 'function', function: call }],
      };
    }
    case 'function_call_output':
      return {
        role: 'tool',
        tool_call_id: given.call_id,
        content: contentOf(partsOf(given.output, `${place}.output`, parts)),
      };
    case 'reasoning':
      return {
        role: 'assistant',
        content: '',
        reasoning_content: textOf(given.content ?? '', `${place}.content`, parts),
      };
    default:
      throw invalidRequest(`an item of type "${given.type}" is not read here`, place);
  }
}

/** A text, or parts: of texts, and by their bytes of pictures and sound. */
function partsOf(given: unknown, place: string, parts: ForeignParts): ForeignPart[] {
  if (typeof given === 'string') return [given];
  if (!Array.isArray(given)) throw invalidRequest('must be a text or a list of parts', place);
  return given.map((part: unknown, at) => {
    const found = isObject(part) ? part : {};
    const [type, own] = [String(found.type), `${place}.${at}`];
    if (TEXTS.includes(type) && typeof found.text === 'string') return found.text;
    // Files that were stored before have an id in place of an address.
    if (type === 'input_image') return parts.image(found.image_url, type, own);
    if (type === 'input_audio') return parts.sound(found.input_audio, type, own);
    throw parts.refusal(type, own);
  });
}

/** A text, or parts of one. */
function textOf(given: unknown, place: string, parts: ForeignParts): string {
  return partsOf(given, place, parts)
    .map((part, at) => {
      if (typeof part === 'string') return part;
      throw invalidRequest(`a part of type "${part.type}": only text is read here`, `${place}.${at}`);
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
