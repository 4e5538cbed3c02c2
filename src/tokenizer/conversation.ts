import { refuseRequest } from '../errors.js';
import { isObject } from '../is-object.js';
import type { ChatMessage } from './chat-template.js';
import { writtenNumbers } from './written-numbers.js';

/** Variables that templates rely on: a caller cannot hide them behind others. */
const RESERVED_VARIABLES: ReadonlySet<string> = new Set([
  'messages',
  'tools',
  'documents',
  'add_generation_prompt',
  'bos_token',
  'eos_token',
  'unk_token',
  'sep_token',
  'pad_token',
  'cls_token',
  'mask_token',
  'range',
  'dict',
  'namespace',
  'cycler',
  'joiner',
  'raise_exception',
  'strftime_now',
  'loop',
  'caller',
]);
const VARIABLE_NAME = /^[a-z][a-z0-9_]{0,63}$/i;
/** Names of a message's reasoning, by precedence. */
const REASONING_FIELDS = ['reasoning_content', 'thinking', 'reasoning'] as const;

const MAX_ROLE_LEN = 64;
const MAX_DEPTH = 64;
/** Texts, numbers, lists and objects of one field; shared parts of a cycle would be copied for ever. */
const MAX_VALUES = 1_000_000;
/** Characters that Unicode keeps free for such uses: U+FDD0 to U+FDEF. */
const FIRST_NONCHARACTER = 0xfdd0;
const NUM_NONCHARACTERS = 32;

/** @throws REQUEST_INVALID unless it is a list of at least one message, each with a role */
export function checkConversation(messages: unknown): asserts messages is readonly ChatMessage[] {
  if (!Array.isArray(messages) || messages.length === 0)
    refuseRequest('messages', 'a list of at least one message', messages);
  for (const [index, message] of messages.entries()) {
    if (!isObject(message)) {
      refuseRequest(`messages[${index}]`, 'an object with role and content', message);
    }
    const { role } = message as ChatMessage;
    if (typeof role !== 'string' || role.length === 0 || role.length > MAX_ROLE_LEN) {
      refuseRequest(`messages[${index}].role`, `a string of 1 to ${MAX_ROLE_LEN} characters`, role);
    }
  }
}

/** @throws REQUEST_INVALID for a name that templates are given anyway, or that is no name of a variable */
export function checkKwargs(kwargs: unknown): asserts kwargs is Readonly<Record<string, unknown>> {
  if (!isObject(kwargs)) refuseRequest('chatTemplateKwargs', 'an object', kwargs);
  for (const [name, value] of Object.entries(kwargs)) {
    if (VARIABLE_NAME.test(name) && !RESERVED_VARIABLES.has(name)) continue;
    const expected = VARIABLE_NAME.test(name)
      ? 'absent: templates get this variable from the conversation or the tokenizer'
      : 'a name of letters, digits and "_"';
    refuseRequest(`chatTemplateKwargs.${name.slice(0, 64)}`, expected, value);
  }
}

/**
 * A message as `transformers` hands it to templates: fields that are null are absent, so that `"content": null` beside
 * tool calls is no text, and reasoning has all the names that templates read it by.
 */
export function forTemplates(message: ChatMessage): ChatMessage {
  const given = Object.entries(message).filter(([, value]) => value !== null && value !== undefined);
  const plain = Object.fromEntries(given) as ChatMessage;
  const reasoning = REASONING_FIELDS.map((name) => plain[name]).find((value) => value !== undefined);
  if (reasoning === undefined) return plain;
  return { thinking: reasoning, ...plain, reasoning_content: reasoning };
}

/**
 * A copy of JSON-like data with every string mapped.
 * @throws REQUEST_INVALID for functions, and for what is too large or too deep (or contains itself)
 */
export function copyJson(value: unknown, field: string, mapText: (text: string) => string): unknown {
  let numValues = 0;
  const copy = (found: unknown, place: string, depth: number): unknown => {
    if (++numValues > MAX_VALUES) refuseRequest(field, `made of at most ${MAX_VALUES} values`, 'more');
    if (typeof found === 'string') return mapText(found);
    if (found === null || found === undefined || typeof found === 'boolean' || Number.isFinite(found))
      return found;
    if (typeof found !== 'object') refuseRequest(place, 'made of texts, numbers, lists and objects', found);
    if (depth >= MAX_DEPTH) refuseRequest(field, `nested at most ${MAX_DEPTH} levels deep`, 'more');
    const written = writtenNumbers(found);
    const inner = (key: string, item: unknown, where: string): unknown =>
      written?.get(key) ?? copy(item, where, depth + 1);
    if (Array.isArray(found))
      return found.map((item, index) => inner(String(index), item, `${place}[${index}]`));
    // Without a prototype: "__proto__" is a key like any other.
    const copied = Object.create(null) as Record<string, unknown>;
    for (const [key, item] of Object.entries(found)) {
      copied[mapText(key)] = inner(key, item, `${place}.${key.slice(0, MAX_ROLE_LEN)}`);
    }
    return copied;
  };
  return copy(value, field, 0);
}

/** What stands for parts that are no text, by type. */
type PartTexts = Readonly<Record<string, string | undefined>>;

/** The text that stands for a part; undefined where there is none. */
function textIn(part: unknown, textOf: PartTexts): string | undefined {
  const { type, text } = (isObject(part) ? part : {}) as Record<string, unknown>;
  if (type === 'text' && typeof text === 'string') return text;
  return typeof type === 'string' && Object.hasOwn(textOf, type) ? textOf[type] : undefined;
}

/** Whether there is a text for each of the parts of a message whose content is a list of them. */
export const isJoinable = ({ content }: ChatMessage, textOf: PartTexts): boolean =>
  Array.isArray(content) && content.every((part) => textIn(part, textOf) !== undefined);

/** A message whose content is a list of parts, with the parts' texts joined by line breaks, as vLLM has it. */
export function joinParts(message: ChatMessage, index: number, textOf: PartTexts): ChatMessage {
  const { content } = message;
  if (!Array.isArray(content)) return message;
  const texts = content.map(
    (part: unknown, at) =>
      textIn(part, textOf) ??
      refuseRequest(
        `messages[${index}].content[${at}]`,
        'a part of type "text": the model, or its chat template there, takes nothing else',
        part,
      ),
  );
  return { ...message, content: texts.join('\n') };
}

/** A message whose content is a text, with one part in its place. */
export const inParts = (message: ChatMessage): ChatMessage =>
  typeof message.content === 'string'
    ? { ...message, content: [{ type: 'text', text: message.content }] }
    : message;

/** Stands at the end of a message that is to be continued; the space shows whether a template strips messages. */
const TAG = 'CONTINUE_FINAL_MESSAGE_TAG ';

/** The messages with a tag where the last one's text ends. @throws REQUEST_INVALID for one without text */
export function tagLast(messages: readonly ChatMessage[]): readonly ChatMessage[] {
  const last = messages.at(-1);
  const parts: readonly unknown[] | undefined = Array.isArray(last?.content) ? last.content : undefined;
  const at = parts?.findLastIndex((part) => isObject(part) && part.type === 'text') ?? -1;
  const part = parts?.[at];
  const text = isObject(part) ? part.text : last?.content;
  if (typeof text !== 'string')
    return refuseRequest('messages', 'ended by a text, which the answer goes on with', last?.content);
  const tagged = text + TAG;
  return messages.with(-1, {
    ...last,
    content: parts?.with(at, { ...(part as object), text: tagged }) ?? tagged,
  } as ChatMessage);
}

/** A prompt up to the tag, as transformers 5 has it. @throws REQUEST_INVALID where the template does not show it */
export function cutAtTag(prompt: string): string {
  const at = prompt.lastIndexOf(TAG.trim());
  if (at < 0) return refuseRequest('messages', 'ended by a message that the chat template shows', 'none');
  return prompt.startsWith(TAG, at) ? prompt.slice(0, at) : prompt.slice(0, at).trimEnd();
}

/** A character that is nowhere in the data. @throws REQUEST_INVALID for data that uses all of Unicode's noncharacters */
export function unusedMark(data: Readonly<Record<string, unknown>>): string {
  const used = new Set<string>();
  for (const [field, value] of Object.entries(data)) {
    copyJson(value, field, (text) => {
      for (const [mark] of text.matchAll(/[\uFDD0-\uFDEF]/g)) used.add(mark);
      return text;
    });
  }
  for (let i = 0; i < NUM_NONCHARACTERS; i++) {
    const mark = String.fromCharCode(FIRST_NONCHARACTER + i);
    if (!used.has(mark)) return mark;
  }
  return refuseRequest('messages', 'without Unicode noncharacters', 'all of U+FDD0 to U+FDEF');
}
