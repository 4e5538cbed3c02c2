import { z } from 'zod';
import { isObject } from '../../is-object.js';
import type { ChatMessage } from '../../tokenizer/chat-template.js';
import { contentOf, type ForeignPart, type ForeignParts } from '../foreign-parts.js';
import { invalidRequest } from '../http-error.js';
import { parseArguments } from '../openai/conversation.js';
import { ADDITIONAL, modelsName, TEXT_ARGUMENT, toolFields } from './tools.js';

const item = z.looseObject({
  type: z.string().nullish(),
  role: z.string().nullish(),
  namespace: z.string().nullish(),
});
type Item = z.infer<typeof item>;

export const conversationFields = {
  input: z.union([z.string(), z.array(item).min(1)], 'must be a text, or a list of at least one item'),
  instructions: z.string().nullish(),
  ...toolFields,
};
/** Parts that are texts, with their fields. */
const TEXTS: Readonly<Record<string, string>> = {
  input_text: 'text',
  output_text: 'text',
  reasoning_text: 'text',
  summary_text: 'text',
  text: 'text',
  refusal: 'refusal',
};

const fields = z.object(conversationFields);
type Conversation = z.infer<typeof fields>;

/** The items of the Responses API as messages: calls stand with the assistant's words, their results follow. */
export function messagesOf({ input, instructions }: Conversation, parts: ForeignParts): ChatMessage[] {
  const begin: ChatMessage[] = instructions ? [{ role: 'system', content: instructions }] : [];
  if (typeof input === 'string') return [...begin, { role: 'user', content: input }];
  const messages = input.flatMap((given, i) =>
    given.type === ADDITIONAL ? [] : [messageOf(given, `input.${i}`, parts)],
  );
  return [...begin, ...messages.reduce<ChatMessage[]>(merge, [])];
}

/**
 * Adds a message. What the assistant thought, said and called, one after another, is one message, as chat templates know it; words
 * behind words, thoughts behind words and whatever follows calls begin another.
 */
function merge(messages: ChatMessage[], next: ChatMessage): ChatMessage[] {
  const last = messages.at(-1);
  const add = (): ChatMessage[] => {
    messages.push(next);
    return messages;
  };
  if (last?.role !== 'assistant' || next.role !== 'assistant') return add();
  const calls = [
    ...((last.tool_calls as object[] | undefined) ?? []),
    ...((next.tool_calls as object[]) ?? []),
  ];
  const saysNothing = (message: ChatMessage): boolean => message.content === '';
  const begins = !saysNothing(next) && (!saysNothing(last) || last.tool_calls !== undefined);
  const isEmpty = saysNothing(last) && last.tool_calls === undefined && last.reasoning_content === undefined;
  const thinks = next.reasoning_content !== undefined && !isEmpty;
  if (begins || thinks) return add();
  const content = saysNothing(next) ? last.content : next.content;
  const joined = { ...last, ...next, content, ...(calls.length > 0 && { tool_calls: calls }) };
  messages[messages.length - 1] = joined;
  return messages;
}

function messageOf(given: Item, place: string, parts: ForeignParts): ChatMessage {
  switch (given.type ?? 'message') {
    case 'message': {
      const role = given.role === 'developer' ? 'system' : (given.role ?? 'user');
      return { role, content: contentOf(partsOf(given.content, `${place}.content`, parts)) };
    }
    case 'function_call':
    case 'custom_tool_call': {
      const args = given.input === undefined ? textOf(given.arguments, place, parts) : undefined;
      const call = {
        name: modelsName(String(given.name), given.namespace),
        // What is called with a text is told as a function of one.
        arguments: args === undefined ? { [TEXT_ARGUMENT]: given.input } : parseArguments(args),
      };
      return {
        role: 'assistant',
        content: '',
        tool_calls: [{ id: given.call_id, type: 'function', function: call }],
      };
    }
    case 'function_call_output':
    case 'custom_tool_call_output':
      return {
        role: 'tool',
        tool_call_id: given.call_id,
        content: contentOf(partsOf(given.output, `${place}.output`, parts.ofResult)),
      };
    case 'reasoning':
      return {
        role: 'assistant',
        content: '',
        // Some models show no more than a summary.
        reasoning_content: textOf(given.content ?? given.summary ?? '', `${place}.content`, parts),
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
    const text = Object.hasOwn(TEXTS, type) ? found[TEXTS[type] as string] : undefined;
    if (typeof text === 'string') return text;
    // Files that were stored before have an id in place of an address.
    if (type === 'input_image') return parts.image(found.image_url, type, own);
    if (type === 'input_audio') return parts.sound(found.input_audio, type, own);
    return parts.unread(type, own);
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
