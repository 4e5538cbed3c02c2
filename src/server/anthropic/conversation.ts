import { z } from 'zod';
import { dataUrlOf } from '../../engine/media/parts.js';
import type { ChatMessage } from '../../tokenizer/chat-template.js';
import { contentOf, type ForeignPart, type ForeignParts } from '../foreign-parts.js';
import { invalidRequest } from '../http-error.js';
import type { Tool, ToolChoice } from '../openai/conversation.js';

const block = z.looseObject({ type: z.string() });
type Block = z.infer<typeof block>;
const content = z.union([z.string(), z.array(block)], 'must be a text or a list of blocks');

/** Coding agents bring along those of many servers. */
const MAX_TOOLS = 1024;
/** What Claude Code puts before its system prompt for the biller: new with each request, it would empty the cache. */
const BILLING = /^x-anthropic-billing-header:[^\n]*\n?/;

/** Files of the Files API are not stored here. */
const imageSource = z.discriminatedUnion('type', [
  z.looseObject({ type: z.literal('base64'), media_type: z.string(), data: z.string() }),
  z.looseObject({ type: z.literal('url'), url: z.string() }),
]);

/** What a document holds, where it is a text. */
const textSource = z.union([
  z.looseObject({ type: z.literal('text'), data: z.string() }),
  z.looseObject({
    type: z.literal('content'),
    content: z.union([z.string(), z.array(z.looseObject({ type: z.literal('text'), text: z.string() }))]),
  }),
]);

export const conversationFields = {
  model: z.string().nullish(),
  messages: z.array(z.object({ role: z.enum(['user', 'assistant', 'system']), content })).min(1),
  system: content.nullish(),
  tools: z
    .array(
      z.looseObject({
        type: z.string().nullish(),
        name: z.string().regex(/^[\w.-]{1,128}$/, 'must be 1 to 128 letters, digits, _, - or .'),
        description: z.string().nullish(),
        input_schema: z.record(z.string(), z.unknown()).nullish(),
      }),
    )
    .max(MAX_TOOLS)
    .nullish(),
  tool_choice: z
    .looseObject({
      type: z.enum(['auto', 'any', 'tool', 'none']),
      name: z.string().nullish(),
      disable_parallel_tool_use: z.boolean().nullish(),
    })
    .nullish(),
};
const fields = z.object(conversationFields);
type Conversation = z.infer<typeof fields>;

/** Anthropic's messages as chat templates take them: results of tools are messages, calls stand beside the text. */
export function messagesOf({ messages, system }: Conversation, parts: ForeignParts): ChatMessage[] {
  const said = system ? textOf(system, 'system') : '';
  const begin = said === '' ? [] : [{ role: 'system', content: said }];
  return [
    ...begin,
    ...messages.flatMap(({ role, content: given }, i) => {
      const place = `messages.${i}.content`;
      if (typeof given === 'string') return [{ role, content: given }];
      return role === 'assistant'
        ? [assistantMessage(given, place)]
        : userMessages(role, given, place, parts);
    }),
  ];
}

export function toolsOf({ tools }: Conversation): Tool[] {
  return (tools ?? []).map(({ type, name, description, input_schema: parameters }) => {
    if (type && type !== 'custom')
      throw invalidRequest(`the tool ${name} of type "${type}" runs nowhere here; leave it out`, 'tools');
    return { type: 'function', function: { name, description, parameters } };
  });
}

export function toolChoiceOf({ tool_choice: choice }: Conversation): ToolChoice {
  if (choice?.type === 'any') return 'required';
  if (choice?.type === 'tool') return { type: 'function', function: { name: choice.name ?? '' } };
  return choice?.type ?? 'auto';
}

function assistantMessage(blocks: readonly Block[], place: string): ChatMessage {
  const texts: string[] = [];
  const thoughts: string[] = [];
  const calls: object[] = [];
  for (const [at, given] of blocks.entries()) {
    const { type, id, name, input } = given;
    if (type === 'text') texts.push(stringOf(given.text, `${place}.${at}.text`));
    else if (type === 'thinking') thoughts.push(stringOf(given.thinking, `${place}.${at}.thinking`));
    else if (type === 'tool_use')
      calls.push({ id, type: 'function', function: { name, arguments: input ?? {} } });
    else if (type !== 'redacted_thinking') refuse(type, `${place}.${at}`);
  }
  return {
    role: 'assistant',
    content: texts.join('\n'),
    ...(thoughts.length > 0 && { reasoning_content: thoughts.join('\n') }),
    ...(calls.length > 0 && { tool_calls: calls }),
  };
}

/** Results come before what the user says with them. */
function userMessages(
  role: string,
  blocks: readonly Block[],
  place: string,
  parts: ForeignParts,
): ChatMessage[] {
  const results: ChatMessage[] = [];
  const said: ForeignPart[] = [];
  for (const [at, given] of blocks.entries()) {
    const { type, tool_use_id: id } = given;
    const inner = `${place}.${at}`;
    if (type === 'tool_result') {
      const found = content.nullish().safeParse(given.content);
      if (!found.success) throw invalidRequest('must be a text or blocks', `${inner}.content`);
      const shown = [found.data ?? ''].flat().map((part, i) => {
        return typeof part === 'string' ? part : shownPart(part, `${inner}.content.${i}`, parts.ofResult);
      });
      results.push({ role: 'tool', tool_call_id: id, content: contentOf(shown) });
    } else said.push(shownPart(given, inner, parts));
  }
  return said.length > 0 || results.length === 0 ? [...results, { role, content: contentOf(said) }] : results;
}

/** A text, or a picture by its bytes. */
function shownPart(given: Block, place: string, parts: ForeignParts): ForeignPart {
  const { type, text } = given;
  if (type === 'text') return stringOf(text, `${place}.text`);
  if (type === 'document') return documentText(given) ?? parts.unread(type, place);
  if (type !== 'image') return parts.unread(type, place);
  const found = imageSource.safeParse(given.source);
  if (!found.success)
    throw invalidRequest('must be base64 with its media_type and data, or a url', `${place}.source`);
  const { data: source } = found;
  return parts.image(
    source.type === 'url' ? source.url : dataUrlOf(source.data, source.media_type),
    type,
    place,
  );
}

/** A document that comes as a text, behind what it is called; undefined for a file. */
function documentText({ source, title, context }: Block): string | undefined {
  const { data: found } = textSource.safeParse(source);
  if (found === undefined) return undefined;
  const parts = found.type === 'text' ? [found.data] : [found.content].flat();
  const texts = parts.map((part) => (typeof part === 'string' ? part : part.text));
  return [title, context, ...texts].filter((text) => typeof text === 'string').join('\n');
}

function textOf(given: string | readonly Block[], place: string): string {
  if (typeof given === 'string') return given.replace(BILLING, '');
  return given
    .map((part, at) =>
      part.type === 'text' ? stringOf(part.text, `${place}.${at}`) : refuse(part.type, `${place}.${at}`),
    )
    .filter((text) => !BILLING.test(text))
    .join('\n');
}

function stringOf(value: unknown, place: string): string {
  if (typeof value !== 'string') throw invalidRequest('must be a text', place);
  return value;
}

function refuse(type: string, place: string): never {
  throw invalidRequest(`a block of type "${type}": only text is read here`, place);
}
