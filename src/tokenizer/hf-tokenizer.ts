import { join } from 'node:path';
import { runWithin, TimeLimitExceeded } from '../bounded.js';
import { AtbError } from '../errors.js';
import { type ArgumentKind, OBJECT, PATH, requireArgument, TOKEN_IDS } from '../require-argument.js';
import { cleanUp } from './clean-up.js';
import { buildDecoder } from './decoder.js';
import { EncoderClient } from './encoder-client.js';
import { encoderError } from './encoder-problem.js';
import type { EncodeRequest, EncoderReply, EncoderRequest } from './encoder-protocol.js';
import type { OpenRequest } from './open-request.js';
import { type PreparedTokenizer, prepareTokenizer } from './prepared-tokenizer.js';
import type { TokenDecoder } from './stream-decoder.js';
import { checkText, limitFor, OPEN_LIMIT_MS } from './text-limits.js';
import { type TokenBytes, tokenBytes } from './token-bytes.js';
import { TokenScanner } from './token-scanner.js';
import { stepTypesOf } from './tokenizer-json.js';
import type {
  DecodeOptions,
  EncodeOptions,
  HfTokenizerOptions,
  NamedTokens,
  Truncation,
  TypedTokens,
} from './tokenizer-options.js';
import type { TokenizerSource } from './tokenizer-source.js';

const BYTE_TOKEN = /^<0x[\da-fA-F]{2}>$/;
/** Control tokens are looked for in this thread. */
const SCAN_LIMIT_MS = 2000;
/** Characters of a text that needs no limit, which costs more than looking through it does: tools have thousands of them. */
const SHORT_TEXT_LEN = 1024;

const SOURCE: ArgumentKind = {
  expected: '{ file, tokenizer, config }; `await HfTokenizer.load(directory)` reads them',
  holds: (value) =>
    OBJECT.holds(value) && ('prepared' in (value as object) || 'tokenizer' in (value as object)),
};

/**
 * A checkpoint's tokenizer, with the same ids as in Python: Hugging Face's Rust library encodes, in a process of its
 * own. So neither this thread waits for it, nor can a tokenizer that one should not trust end or block this process.
 * Decoding, which every generated token needs, happens here.
 */
export class HfTokenizer implements TokenDecoder {
  readonly file: string;
  /** Every id is below; logits may be wider. */
  readonly vocabSize: number;
  readonly bosTokenId: number | undefined;
  readonly padTokenId: number | undefined;
  readonly unkTokenId: number | undefined;
  /** Tokens that end a text, as the tokenizer's files and the options name them. */
  readonly eosTokenIds: readonly number[];
  readonly namedTokens: NamedTokens;
  /** tokenizer_config.json, {} when there was none. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly #ids = new Map<string, number>();
  readonly #tokens: readonly (string | undefined)[];
  readonly #specialIds: ReadonlySet<number>;
  /** Those that a decoded text can leave out: by what they are written as, so not those that no longer look special. */
  readonly #skippedIds: ReadonlySet<number>;
  readonly #decode: (tokens: readonly string[]) => string;
  readonly #decoderSteps: readonly string[];
  /** What stands for added tokens that the normaliser changes. */
  readonly #writtenTexts: ReadonlyMap<number, string>;
  readonly #scanner: TokenScanner;
  readonly #encoder: EncoderClient;
  readonly #patterns: PreparedTokenizer['patterns'];
  readonly #truncation: Truncation | undefined;
  readonly cleansUpSpaces: boolean;
  /** What its files say that is not so. */
  readonly warnings: readonly string[];
  /** What opens the tokenizer in the encoder's process, until it did. */
  #opening: OpenRequest | undefined;
  #isOpen: Promise<void> | undefined;

  /**
   * Reads `dir`'s tokenizer.json, or a SentencePiece model or tiktoken file where it has none, and
   * tokenizer_config.json, special_tokens_map.json and added_tokens.json.
   * @throws TOKENIZER_*, WEIGHT_FILE_* for unreadable files
   */
  static async load(dir: string, options: HfTokenizerOptions = {}): Promise<HfTokenizer> {
    requireArgument('HfTokenizer.load', 'the directory', PATH, dir);
    requireArgument('HfTokenizer.load', 'the options', OBJECT, options);
    const { allowLinks, lowercase = false } = options;
    const encoder = new EncoderClient();
    const request = { kind: 'load', dir, links: { allowLinks }, lowercase } as const;
    const reply = await encoder.call(request, OPEN_LIMIT_MS);
    if (reply.problem !== undefined || reply.loaded === undefined) {
      const file = join(dir, 'tokenizer.json');
      const task = { file, textLen: 0, limitMs: OPEN_LIMIT_MS, patterns: [] };
      throw encoderError(reply.problem ?? { kind: 'died', message: 'it loaded nothing' }, task);
    }
    return new HfTokenizer({ prepared: reply.loaded.prepared, encoder }, options);
  }

  /**
   * Of files' content, which is checked here; what only the library can tell is told by `open`. Or of a tokenizer that
   * the encoder's process has loaded. @throws TOKENIZER_INVALID
   */
  constructor(
    source: TokenizerSource | { readonly prepared: PreparedTokenizer; readonly encoder: EncoderClient },
    options: HfTokenizerOptions = {},
  ) {
    requireArgument('new HfTokenizer', 'the source', SOURCE, source);
    requireArgument('new HfTokenizer', 'the options', OBJECT, options);
    const { eosTokenIds = [], truncation, lowercase = false } = options;
    const isLoaded = 'prepared' in source;
    const { prepared, opening } = isLoaded
      ? { ...source, opening: undefined }
      : prepareTokenizer(source, lowercase);
    this.#encoder = isLoaded ? source.encoder : new EncoderClient();
    this.#opening = opening;
    this.#truncation = truncation;
    const { file, config, tokens, specialIds, specials, words, namedTokens, decoder, patterns } = prepared;
    this.cleansUpSpaces = prepared.cleansUpSpaces;
    this.warnings = prepared.warnings;
    this.file = file;
    this.config = config;
    this.namedTokens = namedTokens;
    this.#tokens = tokens;
    for (const [id, token] of tokens.entries()) if (token !== undefined) this.#ids.set(token, id);
    this.#specialIds = new Set(specialIds);
    this.#scanner = new TokenScanner(specials, words);
    this.#patterns = patterns;
    this.#writtenTexts = new Map(prepared.writtenTexts);
    const texts = new Set(specials);
    const written = [...specialIds, ...this.#writtenTexts.keys()].filter((id) =>
      texts.has(this.#writtenTexts.get(id) ?? tokens[id] ?? ''),
    );
    this.#skippedIds = new Set(written);
    this.#decode = buildDecoder(decoder, file);
    this.#decoderSteps = stepTypesOf(decoder);
    this.vocabSize = tokens.length;
    const idOf = (name: string): number | undefined => this.tokenToId(namedTokens[name] ?? '');
    this.bosTokenId = idOf('bos_token');
    this.padTokenId = idOf('pad_token');
    this.unkTokenId = idOf('unk_token') ?? prepared.unknownId;
    const eos = idOf('eos_token');
    this.eosTokenIds = [...new Set(eos === undefined ? eosTokenIds : [eos, ...eosTokenIds])];
  }

  /** Loads the tokenizer into the encoder's process. Encoding does it by itself. @throws TOKENIZER_* */
  async open(): Promise<void> {
    if (this.#opening === undefined) return;
    const { length } = this.#opening.json;
    this.#isOpen ??= this.#encoder
      .call(this.#opening, OPEN_LIMIT_MS)
      .then((reply) => void this.#idsOf(reply, length, OPEN_LIMIT_MS))
      .then(() => {
        this.#opening = undefined;
      });
    await this.#isOpen;
  }

  /**
   * Ids of a text, while this thread does other things.
   * @throws REQUEST_INVALID for a text of more than 4 Mi characters, TOKENIZER_TOO_SLOW, TOKENIZER_INVALID when the
   * tokenizer cannot tokenize it, TOKENIZER_CRASHED when its process ended over it
   */
  async encodeAsync(text: string, options: EncodeOptions = {}): Promise<number[]> {
    const request = this.#encodeRequest(text, options);
    await this.open();
    const limitMs = limitFor(text.length);
    return this.#idsOf(await this.#encoder.call(request, limitMs), text.length, limitMs);
  }

  /**
   * Ids and types of a text, or of a pair as the tokenizer joins one, while this thread does other things. What is longer
   * than the option `truncation` allows is cut.
   * @throws as `encodeAsync`
   */
  async encodeTyped(text: string, pair?: string): Promise<TypedTokens> {
    if (pair !== undefined) checkText(pair);
    const typed = { pair, truncation: this.#truncation };
    const request = { ...this.#encodeRequest(text, {}), typed };
    await this.open();
    const length = text.length + (pair?.length ?? 0);
    const limitMs = limitFor(length);
    const reply = await this.#encoder.call(request, limitMs);
    const tokenIds = Int32Array.from(this.#idsOf(reply, length, limitMs));
    return { tokenIds, tokenTypes: Int32Array.from(reply.problem ? [] : (reply.types ?? [])) };
  }

  /** The same, but this thread waits: for programs that do nothing else meanwhile. @throws as `encodeAsync` */
  encode(text: string, options: EncodeOptions = {}): number[] {
    return this.#encodeSync(this.#encodeRequest(text, options));
  }

  /** Ids of a text in which `mark` stands before special tokens that are mere text (see `markSpecials`). */
  async encodeMarkedAsync(text: string, mark: string, addSpecialTokens = false): Promise<number[]> {
    const request = this.#markedRequest(text, mark, addSpecialTokens);
    await this.open();
    const limitMs = limitFor(text.length);
    return this.#idsOf(await this.#encoder.call(request, limitMs), text.length, limitMs);
  }

  /** The same, but this thread waits. */
  encodeMarked(text: string, mark: string, addSpecialTokens = false): number[] {
    return this.#encodeSync(this.#markedRequest(text, mark, addSpecialTokens));
  }

  /** Puts `mark` before every special token's text, so that `encodeMarked` takes it as text. */
  markSpecials(text: string, mark: string): string {
    if (text.length <= SHORT_TEXT_LEN) return this.#scanner.mark(text, mark);
    try {
      return runWithin(SCAN_LIMIT_MS, () => this.#scanner.mark(text, mark));
    } catch (error) {
      if (!(error instanceof TimeLimitExceeded)) throw error;
      const detail = { file: this.file, textLen: text.length, limitMs: SCAN_LIMIT_MS };
      throw new AtbError('TOKENIZER_TOO_SLOW', detail, { cause: error });
    }
  }

  /** The text of the ids. Ids without a token (logits may be wider than the vocabulary) have no text. */
  decode(
    ids: readonly number[],
    { skipSpecialTokens = true, cleansUpSpaces = this.cleansUpSpaces }: DecodeOptions = {},
  ): string {
    requireArgument('decode', 'the ids', TOKEN_IDS, ids);
    const tokens: string[] = [];
    for (const id of ids) {
      const token = this.#tokens[id];
      if (token !== undefined && !(skipSpecialTokens && this.#skippedIds.has(id)))
        tokens.push(this.#writtenTexts.get(id) ?? token);
    }
    if (tokens.length === 0) return '';
    try {
      const text = this.#decode(tokens);
      return cleansUpSpaces ? cleanUp(text) : text;
    } catch (error) {
      if (!(error instanceof TimeLimitExceeded)) throw error;
      const detail = { file: this.file, textLen: tokens.length, limitMs: error.limitMs };
      throw new AtbError('TOKENIZER_TOO_SLOW', detail, { cause: error });
    }
  }

  isSpecial(id: number): boolean {
    return this.#skippedIds.has(id);
  }

  tokenToId(token: string): number | undefined {
    return this.#ids.get(token);
  }

  isByte(id: number): boolean {
    return this.#decoderSteps.includes('ByteFallback') && BYTE_TOKEN.test(this.#tokens[id] ?? '');
  }

  idToToken(id: number): string | undefined {
    return this.#tokens[id];
  }

  /** The bytes that each token writes, special ones none: what guided output is made of. 100 ms for 150,000 tokens. */
  tokenBytes(): TokenBytes {
    return tokenBytes(this.#tokens, (id) => this.#specialIds.has(id), this.#decoderSteps);
  }

  /** Those of one token; a special one writes its own text. */
  bytesOf(id: number): Uint8Array {
    return tokenBytes([this.#tokens[id]], () => false, this.#decoderSteps).bytes;
  }

  #encodeRequest(text: string, options: EncodeOptions): EncodeRequest {
    const isSplit = this.config.split_special_tokens === true;
    const { addSpecialTokens = true, parseSpecialTokens = !isSplit } = options;
    checkText(text);
    const mark = parseSpecialTokens ? undefined : null;
    // As Python has it where the files ask for it: a control token that the model itself makes of the text stays.
    const keepsOwn = isSplit && options.parseSpecialTokens === undefined;
    return { kind: 'encode', text, addSpecialTokens, mark, keepsOwn };
  }

  #markedRequest(text: string, mark: string, addSpecialTokens: boolean): EncoderRequest {
    checkText(text);
    return { kind: 'encode', text, addSpecialTokens, mark };
  }

  #encodeSync(request: EncoderRequest): number[] {
    const opening = this.#opening;
    if (opening !== undefined) {
      this.#idsOf(this.#encoder.callSync(opening, OPEN_LIMIT_MS), opening.json.length, OPEN_LIMIT_MS);
      this.#opening = undefined;
    }
    const text = request.kind === 'encode' ? request.text : '';
    const limitMs = limitFor(text.length);
    return this.#idsOf(this.#encoder.callSync(request, limitMs), text.length, limitMs);
  }

  #idsOf(reply: EncoderReply, textLen: number, limitMs: number): number[] {
    if (reply.problem === undefined) return Array.from(reply.ids);
    throw encoderError(reply.problem, { file: this.file, textLen, limitMs, patterns: this.#patterns });
  }
}
