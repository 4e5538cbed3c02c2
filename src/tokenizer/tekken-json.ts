import { AtbError } from '../errors.js';
import { isObject } from '../is-object.js';
import { spelled } from './byte-level.js';
import type { EdgeTokens } from './edge-tokens.js';
import { tiktokenJson } from './tiktoken-json.js';
import { MAX_VOCAB } from './tokenizer-json.js';

/** What tekken.json's special tokens are called in templates (transformers 5.24, `MistralConverter`). */
export const TEKKEN_NAMED = { bos_token: '<s>', eos_token: '</s>', pad_token: '<pad>', unk_token: '<unk>' };

/**
 * A tokenizer.json that gives the ids of Mistral's tekken.json: its special tokens come first, then as many of its tokens of
 * bytes as its vocabulary has room for, by their ranks. `addsBos`: put the BOS before a text, as mistral-common does.
 * @throws TOKENIZER_INVALID
 */
export function tekkenJson(tekken: unknown, file: string, addsBos: boolean): object {
  const fail = (problem: string): never => {
    throw new AtbError('TOKENIZER_INVALID', { file, problem });
  };
  const { config, vocab, special_tokens: listed } = isObject(tekken) ? tekken : fail('must be an object');
  const {
    pattern,
    default_vocab_size: size,
    default_num_special_tokens: reserved,
  } = isObject(config) ? config : fail('config must be an object');
  if (typeof pattern !== 'string' || pattern === '')
    return fail('config.pattern must be a regular expression');
  if (!Array.isArray(listed))
    return fail('has no special_tokens, as of the first version of this format: take a tokenizer.json');
  if (!Array.isArray(vocab)) return fail('vocab must be a list');
  const specials: string[] = [];
  for (const entry of listed as unknown[]) {
    const { rank, token_str: text } = isObject(entry) ? entry : {};
    if (!Number.isInteger(rank) || typeof text !== 'string' || text === '')
      return fail('special_tokens must be a list of {"rank", "token_str"}');
    specials[rank as number] = text;
  }
  if (Object.keys(specials).length !== listed.length || specials.length !== listed.length)
    fail('special_tokens must have the ranks from 0 on, each once');
  const count = typeof reserved === 'number' ? reserved : specials.length;
  if (!Number.isInteger(count) || count < specials.length || count > MAX_VOCAB)
    fail(`config.default_num_special_tokens must be at least ${specials.length}`);
  for (let id = specials.length; id < count; id++) specials.push(`<SPECIAL_${id}>`);
  const room = typeof size === 'number' ? size - count : vocab.length;
  const tokens = (vocab as unknown[]).slice(0, room).map((entry, rank) => {
    const base64 = isObject(entry) ? entry.token_bytes : undefined;
    if (typeof base64 !== 'string') return fail(`vocab[${rank}] has no token_bytes`);
    return spelled(Buffer.from(base64, 'base64'));
  });
  if (new Set(tokens).size < tokens.length) fail('vocab has a token twice');
  const edges: EdgeTokens = {
    before: specials.flatMap((content, id) =>
      addsBos && content === TEKKEN_NAMED.bos_token ? [{ content, id }] : [],
    ),
    behind: [],
  };
  const added = specials.map((content, id) => ({ id, content, special: true, normalized: false }));
  const made = tiktokenJson(tokens, file, { pattern, isNfc: false, added, edges });
  return { ...made, model: shifted(made, specials) };
}

/** The model with the special tokens before the others. */
function shifted(made: object, specials: readonly string[]): object {
  const { model } = made as { readonly model: { readonly vocab: Readonly<Record<string, number>> } };
  const others = Object.entries(model.vocab).map(([token, id]) => [token, id + specials.length] as const);
  return {
    ...model,
    vocab: Object.fromEntries([...specials.map((token, id) => [token, id] as const), ...others]),
  };
}
