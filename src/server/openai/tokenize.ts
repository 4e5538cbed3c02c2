import { z } from 'zod';
import { invalidRequest } from '../http-error.js';
import type { ServedModel } from '../served-model.js';
import { forTemplate, message, tools } from './conversation.js';
import { readBody } from './fields.js';

export const tokenizeBody = z.union(
  [
    z.object({
      prompt: z.string(),
      add_special_tokens: z.boolean().nullish(),
      return_token_strs: z.boolean().nullish(),
    }),
    z.object({
      messages: z.array(message).min(1),
      tools: tools.nullish(),
      add_generation_prompt: z.boolean().nullish(),
      continue_final_message: z.boolean().nullish(),
      chat_template_kwargs: z.record(z.string(), z.unknown()).nullish(),
      return_token_strs: z.boolean().nullish(),
    }),
  ],
  'must have a prompt, which is a text, or messages',
);
/** As many as the longest contexts hold; a million of them would take this thread seconds. */
const MAX_IDS = 2 ** 18;
export const detokenizeBody = z.object({ tokens: z.array(z.int().min(0)).max(MAX_IDS) });

/** `POST /tokenize`, as vLLM has it: the ids of a text or of a conversation. */
export async function tokenize(model: ServedModel, given: unknown): Promise<object> {
  const body = readBody(tokenizeBody, given);
  const tokens: ArrayLike<number> =
    'prompt' in body
      ? await model.tokenizer.encodeAsync(body.prompt, { addSpecialTokens: body.add_special_tokens ?? true })
      : await model.llm.encode(forTemplate(body.messages, model.llm.text.media !== undefined), {
          addGenerationPrompt: body.add_generation_prompt ?? undefined,
          continueFinalMessage: body.continue_final_message ?? undefined,
          ...(body.tools?.length && { tools: body.tools }),
          ...(body.chat_template_kwargs && { chatTemplateKwargs: body.chat_template_kwargs }),
        });
  const ids = Array.from(tokens);
  return {
    ...{ count: ids.length, max_model_len: model.llm.maxModelLen, tokens: ids },
    ...(body.return_token_strs && { token_strs: ids.map((id) => model.tokenizer.idToToken(id) ?? '') }),
  };
}

/** `POST /detokenize`: the text of ids, special tokens included. */
export async function detokenize(model: ServedModel, given: unknown): Promise<object> {
  const { tokens } = readBody(detokenizeBody, given);
  const { vocabSize } = model.tokenizer;
  const strange = tokens.findIndex((id) => id >= vocabSize);
  if (strange !== -1)
    throw invalidRequest(
      `tokens.${strange} must be an integer in [0, ${vocabSize - 1}], found ${tokens[strange]}`,
      `tokens.${strange}`,
    );
  return { prompt: model.tokenizer.decode(tokens, { skipSpecialTokens: false }) };
}
