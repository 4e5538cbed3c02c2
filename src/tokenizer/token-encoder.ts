import type { PackageTokenizer } from './hf-package.js';
import type { AddedTokenJson } from './tokenizer-json.js';

export interface EncodeOptions {
  /** Add what the tokenizer puts around a text (BOS, …). Default true. */
  readonly addSpecialTokens?: boolean;
  /** Read "<|im_end|>" and the like as the token that it names; false: as mere text. Default true. */
  readonly parseSpecialTokens?: boolean;
}

interface TrieNode {
  readonly next: Map<number, TrieNode>;
  token?: AddedTokenJson;
}

interface Section {
  text: string;
  readonly token?: AddedTokenJson;
}

/** Tokens that are found in a text before anything else; normalised ones after the normaliser ran. */
interface AddedTokens {
  readonly raw: TrieNode;
  readonly normalized: TrieNode;
}

/** A text may become that many times as long; NFKC makes 18 characters of one at most. */
const MAX_GROWTH = 64;

/**
 * Text to tokens as the `tokenizers` package does it, step by step with its own normaliser, pre-tokeniser and model,
 * and two things that it lacks: special tokens can be taken as text, in all of it or in marked places, and a normaliser
 * cannot blow a text up.
 */
export class TokenEncoder {
  readonly #tokenizer: PackageTokenizer;
  readonly #added: readonly AddedTokenJson[];
  readonly #all: AddedTokens;
  #plain: AddedTokens | undefined;
  readonly #specials: ReadonlySet<string>;
  readonly #specialStart: RegExp | undefined;

  constructor(tokenizer: PackageTokenizer, added: readonly AddedTokenJson[], specials: ReadonlySet<string>) {
    this.#tokenizer = tokenizer;
    this.#added = added;
    this.#specials = specials;
    this.#all = this.#index(() => true);
    const escaped = [...specials]
      .filter((special) => special !== '')
      .map((special) => special.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&'));
    this.#specialStart = escaped.length > 0 ? new RegExp(`(?=${escaped.join('|')})`, 'g') : undefined;
  }

  /** Puts `mark` before every place where a special token's text begins. */
  markSpecials(text: string, mark: string): string {
    return this.#specialStart === undefined ? text : text.replace(this.#specialStart, mark);
  }

  /** Ids of a text. Where `mark` precedes a special token's text, it is mere text; marks themselves are not encoded. */
  encode(text: string, options: EncodeOptions, mark?: string): number[] {
    const { addSpecialTokens = true, parseSpecialTokens = true } = options;
    const isPlain = !parseSpecialTokens;
    const tokens = this.#tokenize(text.replace(/\p{Surrogate}/gu, '\uFFFD'), isPlain, mark);
    const { post_processor: postProcessor, model } = this.#tokenizer;
    const processed = postProcessor
      ? postProcessor.post_process(tokens, null, addSpecialTokens).tokens
      : tokens;
    return processed.map((token) => {
      const id = model.tokens_to_ids.get(token) ?? model.unk_token_id;
      if (id === undefined) throw new Error(`it makes the token ${JSON.stringify(token)}, which has no id`);
      return id;
    });
  }

  #tokenize(text: string, isPlain: boolean, mark: string | undefined): string[] {
    this.#plain ??= isPlain ? this.#index(({ content }) => !this.#specials.has(content)) : undefined;
    const { raw, normalized } = isPlain && this.#plain ? this.#plain : this.#all;
    return split(text, raw, mark).flatMap((section, index) => {
      if (section.token) return [section.token.content];
      return split(this.#normalize(section.text), normalized, mark).flatMap((inner) => {
        if (inner.token) return [inner.token.content];
        const tokens = this.#runModel(
          mark === undefined ? inner.text : inner.text.replaceAll(mark, ''),
          index,
        );
        // A model whose merges can make a special token of plain text must not, where that was ruled out.
        return isPlain || mark !== undefined ? tokens.flatMap((token) => this.#spell(token)) : tokens;
      });
    });
  }

  /** `index`: which section of the whole text this is; some pre-tokenisers treat the first one differently. */
  #runModel(text: string, index: number): string[] {
    if (text === '') return [];
    const { pre_tokenizer: preTokenizer, model } = this.#tokenizer;
    return model._call(preTokenizer ? preTokenizer.pre_tokenize(text, { section_index: index }) : [text]);
  }

  /** A special token as the tokens of its characters, or of their bytes; any other as it is. */
  #spell(token: string): string[] {
    const { tokens_to_ids: ids, unk_token: unknown } = this.#tokenizer.model;
    if (!this.#specials.has(token) || token === unknown) return [token];
    return Array.from(token).flatMap((character) => {
      if (ids.has(character) && !this.#specials.has(character)) return [character];
      const bytes = Array.from(new TextEncoder().encode(character), byteToken);
      if (bytes.every((byte) => ids.has(byte))) return bytes;
      return unknown ? [unknown] : [];
    });
  }

  #normalize(text: string): string {
    const { normalizer } = this.#tokenizer;
    if (!normalizer) return text;
    const limit = MAX_GROWTH * (text.length + 1);
    return (normalizer.normalizers ?? [normalizer]).reduce<string>((result, step) => {
      const next = step ? step.normalize(result) : result;
      if (next.length <= limit) return next;
      throw new Error(`its normalizer makes ${next.length} characters of ${text.length}`);
    }, text);
  }

  #index(isWanted: (token: AddedTokenJson) => boolean): AddedTokens {
    const added: AddedTokens = { raw: { next: new Map() }, normalized: { next: new Map() } };
    for (const token of this.#added) {
      if (!isWanted(token)) continue;
      const isNormalized = (token.normalized ?? !token.special) && this.#tokenizer.normalizer !== null;
      if (isNormalized) insert(added.normalized, this.#normalize(token.content), token);
      else insert(added.raw, token.content, token);
    }
    return added;
  }
}

function byteToken(byte: number): string {
  return `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`;
}

function insert(root: TrieNode, text: string, token: AddedTokenJson): void {
  let node = root;
  for (let at = 0; at < text.length; at++) {
    const character = text.charCodeAt(at);
    let next = node.next.get(character);
    if (next === undefined) {
      next = { next: new Map() };
      node.next.set(character, next);
    }
    node = next;
  }
  if (node !== root) node.token = token;
}

/** Cuts out added tokens, from the left, at each place the longest; none begins right after `mark`. */
function split(text: string, root: TrieNode, mark: string | undefined): Section[] {
  const sections: Section[] = [];
  let start = 0;
  let at = 0;
  while (at < text.length) {
    const token =
      mark !== undefined && at > 0 && text[at - 1] === mark ? undefined : longestAt(text, at, root);
    if (token === undefined) {
      at++;
      continue;
    }
    if (at > start) sections.push({ text: text.slice(start, at) });
    sections.push({ text: text.slice(at, at + token.len), token: token.token });
    at += token.len;
    start = at;
  }
  if (start < text.length) sections.push({ text: text.slice(start) });
  for (const [index, { token }] of sections.entries()) {
    const before = sections[index - 1];
    const after = sections[index + 1];
    if (token?.lstrip && before && !before.token) before.text = before.text.trimEnd();
    if (token?.rstrip && after && !after.token) after.text = after.text.trimStart();
  }
  return sections.filter((section) => section.text !== '');
}

function longestAt(
  text: string,
  at: number,
  root: TrieNode,
): { token: AddedTokenJson; len: number } | undefined {
  let found: { token: AddedTokenJson; len: number } | undefined;
  let node = root.next.get(text.charCodeAt(at));
  for (let end = at + 1; node !== undefined; end++) {
    if (node.token) found = { token: node.token, len: end - at };
    node = end < text.length ? node.next.get(text.charCodeAt(end)) : undefined;
  }
  return found;
}
