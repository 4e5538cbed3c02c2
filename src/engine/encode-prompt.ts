import { refuseRequest } from '../errors.js';
import type { TextProcessing } from '../runner/text-processing.js';
import type { ChatMessage } from '../tokenizer/chat-template.js';
import type { HfTokenizer } from '../tokenizer/hf-tokenizer.js';
import type { ChatTemplateOptions, InputBuilder } from '../tokenizer/input-builder.js';

/** A text, which is taken as it is; a dialogue, which goes through the chat template; or token ids. */
export type LLMPrompt = string | readonly ChatMessage[] | readonly number[] | Int32Array;

/** Whether these are several prompts, not one. */
export function isPrompts(given: LLMPrompt | readonly LLMPrompt[]): given is readonly LLMPrompt[] {
  return Array.isArray(given) && given.every((each) => typeof each === 'string' || isListLike(each));
}

const isListLike = (value: unknown): boolean => Array.isArray(value) || ArrayBuffer.isView(value);

const isTokens = (prompt: LLMPrompt): prompt is readonly number[] | Int32Array =>
  ArrayBuffer.isView(prompt) || (Array.isArray(prompt) && prompt.length > 0 && typeof prompt[0] === 'number');

/**
 * Token ids of a prompt, while this thread does other things.
 * @throws TOKENIZER_*, TEMPLATE_*, REQUEST_INVALID for what is no prompt, and when the tokenizer was not loaded
 */
export async function encodePrompt(
  prompt: LLMPrompt,
  text: TextProcessing,
  template: ChatTemplateOptions,
): Promise<Int32Array> {
  if (isTokens(prompt)) return Int32Array.from(prompt);
  const { tokenizer, inputBuilder } = encodersOf(prompt, text);
  return Int32Array.from(
    typeof prompt === 'string'
      ? await tokenizer.encodeAsync(prompt)
      : await inputBuilder.makeContextAsync(prompt as readonly ChatMessage[], template),
  );
}

/** The same, but this thread waits. */
export function encodePromptNow(
  prompt: LLMPrompt,
  text: TextProcessing,
  template: ChatTemplateOptions,
): Int32Array {
  if (isTokens(prompt)) return Int32Array.from(prompt);
  const { tokenizer, inputBuilder } = encodersOf(prompt, text);
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
