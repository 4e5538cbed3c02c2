import { z } from 'zod';
import type { ServedModel } from '../served-model.js';
import { forTemplate, message } from './conversation.js';
import { readBody } from './fields.js';

export const tokenizeBody = z.union([
  z.object({ prompt: z.string(), add_special_tokens: z.boolean().nullish() }),
  z.object({ messages: z.array(message).min(1), add_generation_prompt: z.boolean().nullish() }),
]);
export const detokenizeBody = z.object({ tokens: z.array(z.int().min(0)) });

/** `POST /tokenize`, as vLLM has it: the ids of a text or of a conversation. */
export async function tokenize(model: ServedModel, given: unknown): Promise<object> {
  const body = readBody(tokenizeBody, given);
  const tokens: ArrayLike<number> =
    'prompt' in body
      ? await model.tokenizer.encodeAsync(body.prompt, { addSpecialTokens: body.add_special_tokens ?? true })
      : await model.llm.encode(forTemplate(body.messages, model.llm.text.media !== undefined), {
          addGenerationPrompt: body.add_generation_prompt ?? true,
        });
  return { count: tokens.length, max_model_len: model.llm.maxModelLen, tokens: Array.from(tokens) };
}

/** `POST /detokenize`: the text of ids, special tokens included. */
export async function detokenize(model: ServedModel, given: unknown): Promise<object> {
  const { tokens } = readBody(detokenizeBody, given);
  return { prompt: model.tokenizer.decode(tokens, { skipSpecialTokens: false }) };
}
