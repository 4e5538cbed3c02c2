import { isObject } from '../is-object.js';
import { invalidRequest } from './http-error.js';

/** Fields by name, with what to do in their place. */
export type Unbuilt = Readonly<Record<string, string>>;

const LEAVE_OUT = 'leave it out';
const GUIDES = 'response_format and structured_outputs say the same';

const leftOut = (...names: readonly string[]): Unbuilt =>
  Object.fromEntries(names.map((name) => [name, LEAVE_OUT]));

/**
 * What OpenAI, vLLM, llama.cpp or Jina read and is not built here: left alone, these fields would get another answer than
 * was asked for.
 */
export const UNBUILT = {
  answers: {
    ...leftOut('use_beam_search', 'bad_words', 'allowed_token_ids', 'logits_processors'),
    ...leftOut('truncate_prompt_tokens', 'thinking_token_budget', 'repetition_detection'),
    ...leftOut('prompt_embeds', 'mm_processor_kwargs', 'guided_whitespace_pattern'),
    ...{ return_token_ids: '/tokenize gives ids', return_tokens_as_token_ids: '/tokenize gives ids' },
    // Whoever may give a template may let it compute whatever it likes.
    ...leftOut('chat_template'),
    ...leftOut('audio', 'modalities', 'web_search_options'),
    ...{ grammar: GUIDES, json_schema: GUIDES },
  },
  embeddings: leftOut('truncate_prompt_tokens', 'late_chunking', 'messages'),
  rerank: leftOut('truncate_prompt_tokens'),
  messages: { ...leftOut('container'), mcp_servers: 'only functions of the client run here' },
} as const satisfies Record<string, Unbuilt>;

/** Whether a value asks for nothing: absent, false, 0, an empty text or list; texts alone; -1, as much as the model reads. */
const asksNothing = (value: unknown): boolean =>
  !value || value === -1 || (Array.isArray(value) && value.every((one) => one === 'text'));

/** Refuses fields that are not built, by name. @throws HttpError 400 */
export function refuseUnbuilt(given: unknown, unbuilt: Unbuilt): void {
  for (const [field, value] of Object.entries(isObject(given) ? given : {}))
    if (Object.hasOwn(unbuilt, field) && !asksNothing(value))
      throw invalidRequest(`${field} is not built here; ${unbuilt[field]}`, field);
}
