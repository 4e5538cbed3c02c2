import { refuseRequest } from '../errors.js';
import type { ExpandedPrompt } from '../media/index.js';
import { checkOptions } from '../runner/options.js';
import type { TextProcessing } from '../runner/text-processing.js';
import type { ChatMessage } from '../tokenizer/chat-template.js';
import type { HfTokenizer } from '../tokenizer/hf-tokenizer.js';
import type { ChatTemplateOptions, InputBuilder } from '../tokenizer/input-builder.js';
import { takeMedia } from './media/parts.js';
import { readMedia } from './media/prepare.js';
import { TEMPLATE_OPTIONS } from './options.js';

/** A text, which is taken as it is; a dialogue, which goes through the chat template; or token ids. */
export type LLMPrompt = string | readonly ChatMessage[] | readonly number[] | Int32Array;

/** Whether these are several prompts, not one. */
export function isPrompts(given: LLMPrompt | readonly LLMPrompt[]): given is readonly LLMPrompt[] {
  return Array.isArray(given) && given.every((each) => typeof each === 'string' || isListLike(each));
}

const isListLike = (value: unknown): boolean => Array.isArray(value) || ArrayBuffer.isView(value);

const isTokens = (prompt: LLMPrompt): prompt is readonly number[] | Int32Array =>
  ArrayBuffer.isView(prompt) || (Array.isArray(prompt) && prompt.length > 0 && typeof prompt[0] === 'number');

/** Token ids as they are, which the engine bounds. @throws REQUEST_INVALID for what an Int32Array would round */
function tokensOf(prompt: readonly number[] | Int32Array): Int32Array {
  const at = prompt.findIndex((token) => (token | 0) !== token);
  if (at >= 0) refuseRequest(`prompt[${at}]`, 'a token id, which is an integer', prompt[at]);
  return Int32Array.from(prompt);
}

/**
 * A prompt as the engine takes it, while this thread does other things: its token ids, and what stands among them that is
 * no text.
 * @throws TOKENIZER_*, TEMPLATE_*, MEDIA_*, REQUEST_INVALID for what is no prompt, and when the tokenizer was not loaded
 */
export async function encodePrompt(
  prompt: LLMPrompt,
  text: TextProcessing,
  template: ChatTemplateOptions,
): Promise<ExpandedPrompt> {
  checkOptions(template, TEMPLATE_OPTIONS, 'ChatTemplateOptions');
  if (isTokens(prompt)) return { tokens: tokensOf(prompt), inserts: [] };
  const { tokenizer, inputBuilder } = encodersOf(prompt, text);
  if (typeof prompt === 'string')
    return { tokens: Int32Array.from(await tokenizer.encodeAsync(prompt)), inserts: [] };
  const { messages, expand } = await readMedia(prompt as readonly ChatMessage[], text);
  return expand(await inputBuilder.makeContextAsync(messages, template));
}

/** The token ids of a prompt without pictures and sound, but this thread waits. */
export function encodePromptNow(
  prompt: LLMPrompt,
  text: TextProcessing,
  template: ChatTemplateOptions,
): Int32Array {
  if (isTokens(prompt)) return tokensOf(prompt);
  const { tokenizer, inputBuilder } = encodersOf(prompt, text);
  const [part] = typeof prompt === 'string' ? [] : takeMedia(prompt as readonly ChatMessage[]).parts;
  if (part)
    refuseRequest(
      part.field,
      'a part of type "text": others are read while this thread does other things',
      part.kind,
    );
  return Int32Array.from(
    typeof prompt === 'string'
      ? tokenizer.encode(prompt)
      : inputBuilder.makeContext(prompt as readonly ChatMessage[], template),
  );
}

function encodersOf(
  prompt: unknown,
  { tokenizer, inputBuilder }: TextProcessing,
): { readonly tokenizer: HfTokenizer; readonly inputBuilder: InputBuilder } {
  if (typeof prompt !== 'string' && !Array.isArray(prompt))
    return refuseRequest('prompt', 'a text, a list of messages, or token ids', prompt);
  if (!tokenizer || !inputBuilder)
    return refuseRequest('prompt', 'token ids, because the tokenizer was not loaded', 'text');
  return { tokenizer, inputBuilder };
}
