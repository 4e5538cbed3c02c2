import { randomUUID } from 'node:crypto';
import { type Encoding, Tokenizer } from 'tokenizers';
import { Charsmap } from './charsmap.js';
import type { EncodeRequest, EncoderProblem } from './encoder-protocol.js';
import type { OpenRequest } from './open-request.js';
import { TokenScanner } from './token-scanner.js';
import type { Truncation } from './tokenizer-options.js';
import { type PlacedToken, truncated } from './truncate.js';
import { UnigramEncoder } from './unigram-encoder.js';

interface AddedToken {
  readonly content: string;
  readonly special?: boolean;
}

/** A tokenizer in which a control token is one only behind a key that no text contains. */
interface KeyedTokenizer {
  readonly tokenizer: Tokenizer;
  readonly key: string;
  /** Ids of the original tokenizer, by those of this one, where they differ. */
  readonly originalIds: ReadonlyMap<number, number>;
  /** What stands in place of a control token that the model itself makes of plain text. */
  readonly spelledIds: ReadonlyMap<number, readonly number[]>;
}

/** Ids of a text or a pair, and which of the two each belongs to. */
interface EncodedIds {
  readonly ids: Uint32Array;
  readonly types?: Uint32Array;
}

/** Why a tokenizer was not loaded. */
export class OpenFailure extends Error {
  constructor(readonly problem: EncoderProblem) {
    super('the tokenizer was not loaded');
  }
}

/**
 * Hugging Face's Rust tokenizer, with control tokens that can be taken as text, in all of it or in marked places. It
 * runs in a process of its own: whatever the library cannot cope with ends that process only.
 */
export class RustTokenizer {
  readonly #tokenizer: Tokenizer;
  /** In UTF-8, which takes half the memory; parsed again only when a text has to be told from control tokens. */
  readonly #json: Buffer;
  readonly #specials: readonly string[];
  readonly #scanner: TokenScanner;
  readonly #charsmap: Charsmap | undefined;
  readonly #unigram: UnigramEncoder | undefined;
  #keyed: KeyedTokenizer | undefined;

  /** @throws OpenFailure */
  constructor({ json, specials, words, patterns, charsmap, unigram }: OpenRequest) {
    this.#json = Buffer.from(json);
    this.#specials = specials;
    this.#scanner = new TokenScanner(specials, words);
    this.#unigram = unigram && new UnigramEncoder(unigram);
    try {
      this.#tokenizer = Tokenizer.fromString(json);
      this.#charsmap = charsmap === undefined ? undefined : new Charsmap(charsmap);
    } catch (error) {
      throw new OpenFailure(badPattern(patterns) ?? { kind: 'refused', message: messageOf(error) });
    }
  }

  /** Those of the tokens that the library writes otherwise than they are called, with what it writes. */
  writtenTexts(
    ids: readonly number[],
    tokens: readonly (string | undefined)[],
  ): [id: number, text: string][] {
    return ids.flatMap((id): [number, string][] => {
      const text = this.#tokenizer.idToToken(id);
      return text === null || text === tokens[id] ? [] : [[id, text]];
    });
  }

  /** Ids, and where they are wanted types. */
  async encode({ text, typed, addSpecialTokens, mark, keepsOwn }: EncodeRequest): Promise<EncodedIds> {
    const options = { addSpecialTokens };
    if (this.#unigram !== undefined) {
      const tokens = this.#encodeUnigram(this.#unigram, [text, typed?.pair], mark, addSpecialTokens);
      return idsAndTypes(tokens, typed?.truncation);
    }
    const isPlain = mark === null || (mark !== undefined && text.includes(mark));
    if (!isPlain && this.#charsmap === undefined) {
      const encoding = await this.#tokenizer.encode(text, typed?.pair ?? null, options);
      return typed
        ? idsAndTypes(placed(encoding), typed.truncation)
        : { ids: Uint32Array.from(encoding.getIds()) };
    }
    this.#keyed ??= this.#buildKeyed();
    const { tokenizer, key, originalIds, spelledIds } = this.#keyed;
    const [first = '', second = null] = [text, typed?.pair].map((each) =>
      each === undefined ? undefined : this.#replaceCharacters(this.#markedWith(key, each, mark), key),
    );
    const idsOf = (id: number): readonly number[] =>
      [originalIds.get(id) ?? (keepsOwn ? id : (spelledIds.get(id) ?? id))].flat();
    return idsAndTypes(placed(await tokenizer.encode(first, second, options), idsOf), typed?.truncation);
  }

  /** The text with a key before every control token that counts as one. */
  #markedWith(key: string, text: string, mark: string | null | undefined): string {
    if (mark === null) return text;
    return mark === undefined
      ? this.#scanner.mark(text, key)
      : this.#scanner.mapUnmarked(text, mark, (special) => key + special);
  }

  /** One text, or two with what stands between them. */
  #encodeUnigram(
    unigram: UnigramEncoder,
    [text, pair]: readonly [string, string | undefined],
    mark: string | null | undefined,
    addsEdges: boolean,
  ): PlacedToken[] {
    const { before, behind, second = { before, type: 0 } } = unigram.spec.edges;
    const around = (edges: typeof before, type: number): PlacedToken[] =>
      addsEdges ? edges.map(({ id }) => ({ id, type, text: undefined })) : [];
    const own = (each: string, at: 0 | 1, type: number): PlacedToken[] =>
      this.#unigramIds(unigram, each, mark).map((id) => ({ id, type, text: at }));
    const first = [...around(before, 0), ...own(text, 0, 0), ...around(behind, 0)];
    if (pair === undefined) return first;
    const { type } = second;
    return [...first, ...around(second.before, type), ...own(pair, 1, type), ...around(behind, type)];
  }

  /** The ids of a text alone. */
  #unigramIds(unigram: UnigramEncoder, text: string, mark: string | null | undefined): number[] {
    const replace = (segment: string): string => this.#charsmap?.replace(segment) ?? segment;
    // Nobody can guess it, so no text has it.
    const key = randomUUID();
    const [first = '', ...others] = this.#markedWith(key, text, mark).split(key);
    return [
      ...unigram.encode(replace(first), true),
      ...others.flatMap((segment) => {
        const end = this.#scanner.longestAt(segment, 0);
        const id = this.#tokenizer.tokenToId(segment.slice(0, end));
        return [...(id === null ? [] : [id]), ...unigram.encode(replace(segment.slice(end)), false)];
      }),
    ];
  }

  /** All but control tokens, before which the key stands. A text that a replacement makes is never one. */
  #replaceCharacters(text: string, key: string): string {
    const charsmap = this.#charsmap;
    if (charsmap === undefined) return text;
    const [first = '', ...others] = text.split(key);
    const behind = others.map((segment) => {
      const end = this.#scanner.longestAt(segment, 0);
      return key + segment.slice(0, end) + charsmap.replace(segment.slice(end));
    });
    return charsmap.replace(first) + behind.join('');
  }

  #buildKeyed(): KeyedTokenizer {
    // Nobody can guess it, so no text has it.
    const key = randomUUID();
    const specials = new Set(this.#specials);
    const json = JSON.parse(this.#json.toString()) as { added_tokens: AddedToken[] };
    const { added_tokens: added } = json;
    const renamed = added.map((token) =>
      // The key tells what is a token, also of those that must be a word.
      specials.has(token.content)
        ? { ...token, content: key + token.content, normalized: false, single_word: false }
        : token,
    );
    const tokenizer = Tokenizer.fromString(JSON.stringify({ ...json, added_tokens: renamed }));
    const originalIds = new Map<number, number>();
    for (const [index, { content }] of added.entries()) {
      const [id, original] = [
        tokenizer.tokenToId((renamed[index] as AddedToken).content),
        this.#tokenizer.tokenToId(content),
      ];
      if (id !== null && original !== null) originalIds.set(id, original);
    }
    const spelledIds = new Map<number, readonly number[]>();
    const unknown = this.#unknownId(json);
    for (const content of specials) {
      const id = this.#tokenizer.tokenToId(content);
      if (id !== null && id !== unknown && !originalIds.has(id)) spelledIds.set(id, this.#spell(content));
    }
    return { tokenizer, key, originalIds, spelledIds };
  }

  /** The token for what is unknown is special, too, but plain text may have it. */
  #unknownId(json: object): number | undefined {
    const { unk_token: token, unk_id: id } = (json as { readonly model: Readonly<Record<string, unknown>> })
      .model;
    if (typeof token === 'string') return this.#tokenizer.tokenToId(token) ?? undefined;
    return typeof id === 'number' ? id : undefined;
  }

  /** A control token as the tokens of its characters, or of their bytes. */
  #spell(content: string): number[] {
    return Array.from(content).flatMap((character) => {
      const whole = this.#tokenizer.tokenToId(character);
      if (whole !== null && !this.#specials.includes(character)) return [whole];
      const bytes = Array.from(Buffer.from(character), (byte) =>
        this.#tokenizer.tokenToId(`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`),
      );
      return bytes.filter((id) => id !== null);
    });
  }
}

/** `idsOf`: what stands for an id of a text; what the post-processor puts around it has its own ids already. */
function placed(encoding: Encoding, idsOf: (id: number) => readonly number[] = (id) => [id]): PlacedToken[] {
  const [types, isAround, texts] = [
    encoding.getTypeIds(),
    encoding.getSpecialTokensMask(),
    encoding.getSequenceIds(),
  ];
  return encoding.getIds().flatMap((id, at): PlacedToken[] => {
    const type = types[at] as number;
    if (isAround[at] === 1) return [{ id, type, text: undefined }];
    const text = texts[at] === 1 ? 1 : 0;
    return idsOf(id).map((each) => ({ id: each, type, text }));
  });
}

function idsAndTypes(all: readonly PlacedToken[], truncation: Truncation | undefined): EncodedIds {
  const tokens = truncation ? truncated(all, truncation) : all;
  return {
    ids: Uint32Array.from(tokens, ({ id }) => id),
    types: Uint32Array.from(tokens, ({ type }) => type),
  };
}

/** The first pattern that the library's regular expressions do not take; undefined when all compile. */
function badPattern(patterns: readonly string[]): EncoderProblem | undefined {
  for (const [index, pattern] of patterns.entries()) {
    const split = { type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false };
    const model = { type: 'WordLevel', vocab: { a: 0 }, unk_token: 'a' };
    try {
      Tokenizer.fromString(JSON.stringify({ version: '1.0', added_tokens: [], pre_tokenizer: split, model }));
    } catch (error) {
      return { kind: 'pattern', index, message: messageOf(error) };
    }
  }
  return undefined;
}

export function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).slice(0, 300);
}
