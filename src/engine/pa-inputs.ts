import { refuseRequest } from '../errors.js';
import type { ExpandedPrompt, Insert } from '../media/index.js';
import { checkTokenIds } from '../sampling/token-ids.js';
import type { ChatMessage } from '../tokenizer/chat-template.js';

/** Prompts of `infer`, all of one kind. */
export type PAInputs =
  | {
      readonly kind: 'texts';
      readonly prompts: readonly string[];
      /** Of each prompt the LoRA adapter, by its name; the model itself when absent. */
      readonly adapters?: readonly (string | undefined)[];
    }
  | { readonly kind: 'tokens'; readonly prompts: readonly Int32Array[] }
  | { readonly kind: 'dialogues'; readonly dialogues: readonly (readonly ChatMessage[])[] };

export interface Prompt {
  /** As it was given: text, ids joined by commas, or the last message. */
  readonly shown: string;
  readonly tokens: Int32Array;
  /** What stands among them that is no text. */
  readonly inserts: readonly Insert[];
  readonly adapter?: string | undefined;
}

export interface PromptLimits {
  readonly vocabSize: number;
  /** Tokens of a prompt. */
  readonly maxInputLength: number;
}

type Encode = (prompt: string | readonly ChatMessage[]) => Promise<ExpandedPrompt>;

/**
 * The prompts as token ids, each checked before it is copied.
 * @throws REQUEST_INVALID with the prompt and, for token ids, the place of the first that is none; what `encode` throws
 */
export async function promptsOf(
  inputs: PAInputs,
  isChatModel: boolean,
  encode: Encode,
  limits: PromptLimits,
): Promise<Prompt[]> {
  if (typeof inputs !== 'object' || inputs === null)
    return refuseRequest('inputs', 'an object with kind and prompts', inputs);
  const encoded = async (field: string, shown: string, prompt: Parameters<Encode>[0]): Promise<Prompt> => {
    const { tokens, inserts } = await encode(prompt);
    return { shown, tokens: withinLimit(tokens, field, limits), inserts };
  };
  switch (inputs.kind) {
    case 'tokens':
      return listOf('prompts', inputs.prompts).map((ids, index) =>
        tokenPrompt(ids, `prompts[${index}]`, limits),
      );
    case 'dialogues': {
      const dialogues = listOf('dialogues', inputs.dialogues);
      for (const [index, dialogue] of dialogues.entries())
        if (!Array.isArray(dialogue)) refuseRequest(`dialogues[${index}]`, 'a list of messages', dialogue);
      return Promise.all(
        dialogues.map((dialogue, index) =>
          encoded(`dialogues[${index}]`, shownContent(dialogue.at(-1)?.content), dialogue),
        ),
      );
    }
    case 'texts': {
      const texts = listOf('prompts', inputs.prompts);
      for (const [index, text] of texts.entries())
        if (typeof text !== 'string') refuseRequest(`prompts[${index}]`, 'a text', text);
      const adapters = listOf('adapters', inputs.adapters ?? []);
      return Promise.all(
        texts.map(async (text, index) => {
          const prompt = isChatModel ? [{ role: 'user', content: text }] : text;
          return { ...(await encoded(`prompts[${index}]`, text, prompt)), adapter: adapters[index] };
        }),
      );
    }
    default:
      return refuseRequest(
        'inputs.kind',
        'one of texts, tokens, dialogues',
        (inputs as { kind?: unknown }).kind,
      );
  }
}

/** A message's content as it is shown to people: a text, or its parts as they were given. */
function shownContent(content: unknown): string {
  return typeof content === 'string' ? content : content == null ? '' : JSON.stringify(content);
}

function listOf<T>(field: string, list: readonly T[]): readonly T[] {
  return Array.isArray(list) ? list : refuseRequest(`inputs.${field}`, 'a list', list);
}

function tokenPrompt(ids: Int32Array, field: string, limits: PromptLimits): Prompt {
  if (ArrayBuffer.isView(ids) || Array.isArray(ids)) withinLimit(ids, field, limits);
  const tokens = Int32Array.from(checkTokenIds(field, ids, limits.vocabSize));
  return { shown: tokens.join(','), tokens, inserts: [] };
}

function withinLimit<T extends ArrayLike<number>>(
  tokens: T,
  field: string,
  { maxInputLength }: PromptLimits,
): T {
  if (tokens.length > maxInputLength)
    refuseRequest(field, `at most max_input_length (${maxInputLength}) tokens`, tokens.length);
  return tokens;
}
