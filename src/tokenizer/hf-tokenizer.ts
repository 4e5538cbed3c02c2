import { join } from 'node:path';
import { AtbError, describeValue } from '../errors.js';
import { runWithin, TimeLimitExceeded } from './bounded.js';
import { type PackageTokenizer, Tokenizer } from './hf-package.js';
import { readModelJson, readModelText } from './model-files.js';
import { areLinear, probePatterns } from './pre-tokenizer-patterns.js';
import type { TokenDecoder } from './stream-decoder.js';
import { type EncodeOptions, TokenEncoder } from './token-encoder.js';
import { checkTokenizerJson } from './tokenizer-json.js';

export interface DecodeOptions {
  /** Leave special tokens out. Default true. */
  readonly skipSpecialTokens?: boolean;
}

/** Parsed files of a tokenizer. */
export interface TokenizerSource {
  /** Path of tokenizer.json, for messages. */
  readonly file: string;
  /** Its content. */
  readonly tokenizer: unknown;
  /** tokenizer_config.json's content. */
  readonly config?: unknown;
}

export interface HfTokenizerOptions {
  /** End-of-sequence tokens of generation_config.json or config.json, besides the tokenizer's own. */
  readonly eosTokenIds?: readonly number[];
}

/** The texts of the tokens that templates know by name. */
export type NamedTokens = Readonly<Record<string, string>>;

const NAMED_TOKENS = [
  'bos_token',
  'eos_token',
  'unk_token',
  'sep_token',
  'pad_token',
  'cls_token',
  'mask_token',
];
/** Characters of one text. A million take 1–2 s; what is longer fits no model's window. */
const MAX_TEXT_LEN = 4 * 2 ** 20;
/** Time for patterns that are not known to be linear; ten times what known ones take. */
const SLOW_BASE_MS = 1000;
const SLOW_MS_PER_CHARACTER = 0.02;

/**
 * A Hugging Face tokenizer.json as `@huggingface/tokenizers` runs it (the same ids as the Rust library), behind
 * validation of the file, bounds on time and growth, and with decoding that never "cleans up" spaces.
 * Encoding is synchronous: about 1 ms per thousand words.
 */
export class HfTokenizer implements TokenDecoder {
  readonly file: string;
  /** Every id is below; logits may be wider. */
  readonly vocabSize: number;
  readonly bosTokenId: number | undefined;
  readonly padTokenId: number | undefined;
  readonly unkTokenId: number | undefined;
  /** Tokens that end a text, as tokenizer_config.json and the options name them. */
  readonly eosTokenIds: readonly number[];
  readonly namedTokens: NamedTokens;
  /** tokenizer_config.json, {} when there was none. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly #tokenizer: PackageTokenizer;
  readonly #encoder: TokenEncoder;
  readonly #specialIds = new Set<number>();
  readonly #isLinear: boolean;

  /** Reads `dir`/tokenizer.json and tokenizer_config.json. @throws TOKENIZER_*, WEIGHT_FILE_* for unreadable files */
  static async load(dir: string, options: HfTokenizerOptions = {}): Promise<HfTokenizer> {
    const [tokenizer, config] = await Promise.all([
      readModelJson(dir, 'tokenizer.json'),
      readModelJson(dir, 'tokenizer_config.json'),
    ]);
    if (tokenizer === undefined)
      throw new AtbError('TOKENIZER_MISSING', { dir, advice: await adviceFor(dir) });
    return new HfTokenizer({ file: join(dir, 'tokenizer.json'), tokenizer, config }, options);
  }

  /** @throws TOKENIZER_INVALID, TOKENIZER_PATTERN */
  constructor(
    { file, tokenizer, config = {} }: TokenizerSource,
    { eosTokenIds = [] }: HfTokenizerOptions = {},
  ) {
    this.file = file;
    const configFile = join(file, '..', 'tokenizer_config.json');
    this.config = checkConfig(config, configFile);
    const json = checkTokenizerJson(tokenizer, file);
    this.#isLinear = areLinear(json, file);
    this.#tokenizer = this.#guarded(
      () => new Tokenizer(json, { ...this.config, additional_special_tokens: [] }),
    );
    if (!this.#isLinear) probePatterns(json, file);

    const specials = new Set(
      json.added_tokens.filter(({ special }) => special).map(({ content }) => content),
    );
    for (const token of asList(this.config.additional_special_tokens)) specials.add(contentOf(token) ?? '');
    specials.delete('');
    for (const special of specials) {
      const id = this.tokenToId(special);
      if (id !== undefined) this.#specialIds.add(id);
    }
    this.#encoder = this.#guarded(() => new TokenEncoder(this.#tokenizer, json.added_tokens, specials));
    this.vocabSize = this.#tokenizer.model.vocab.length;

    const named = NAMED_TOKENS.map((name) => [name, contentOf(this.config[name])] as const);
    this.namedTokens = Object.fromEntries(
      named.filter((entry): entry is [string, string] => entry[1] !== undefined),
    );
    const idOf = (name: string): number | undefined => this.tokenToId(this.namedTokens[name] ?? '');
    this.bosTokenId = idOf('bos_token');
    this.padTokenId = idOf('pad_token');
    this.unkTokenId = idOf('unk_token') ?? this.#tokenizer.model.unk_token_id;
    const eos = idOf('eos_token');
    this.eosTokenIds = [...new Set(eos === undefined ? eosTokenIds : [eos, ...eosTokenIds])];
  }

  /**
   * Ids of a text.
   * @throws REQUEST_INVALID for a text of more than 4 Mi characters, TOKENIZER_TOO_SLOW, TOKENIZER_INVALID when the
   * tokenizer cannot tokenize it.
   */
  encode(text: string, options: EncodeOptions = {}): number[] {
    return this.#encode(text, options, undefined);
  }

  /** Ids of a text in which `mark` stands before special tokens that are mere text (see `markSpecials`). */
  encodeMarked(text: string, mark: string): number[] {
    return this.#encode(text, { addSpecialTokens: false }, mark);
  }

  /** Puts `mark` before every special token's text, so that `encodeMarked` takes it as text. */
  markSpecials(text: string, mark: string): string {
    return this.#encoder.markSpecials(text, mark);
  }

  /** The text of the ids. Ids without a token (logits may be wider than the vocabulary) have no text. */
  decode(ids: readonly number[], { skipSpecialTokens = true }: DecodeOptions = {}): string {
    const visible = ids.filter(
      (id) => this.idToToken(id) !== undefined && !(skipSpecialTokens && this.isSpecial(id)),
    );
    if (visible.length === 0) return '';
    const decode = (): string =>
      this.#tokenizer.decode(visible, { skip_special_tokens: false, clean_up_tokenization_spaces: false });
    return this.#guarded(decode);
  }

  isSpecial(id: number): boolean {
    return this.#specialIds.has(id);
  }

  tokenToId(token: string): number | undefined {
    return this.#tokenizer.token_to_id(token);
  }

  idToToken(id: number): string | undefined {
    return this.#tokenizer.id_to_token(id);
  }

  #encode(text: string, options: EncodeOptions, mark: string | undefined): number[] {
    if (typeof text !== 'string' || text.length > MAX_TEXT_LEN) {
      const found = typeof text === 'string' ? `${text.length} characters` : text;
      throw new AtbError('REQUEST_INVALID', {
        field: 'text',
        expected: `a string of up to ${MAX_TEXT_LEN} characters`,
        found,
      });
    }
    const encode = (): number[] => this.#guarded(() => this.#encoder.encode(text, options, mark));
    if (this.#isLinear) return encode();
    const limitMs = SLOW_BASE_MS + Math.ceil(SLOW_MS_PER_CHARACTER * text.length);
    try {
      return runWithin(limitMs, encode);
    } catch (error) {
      if (!(error instanceof TimeLimitExceeded)) throw error;
      throw new AtbError(
        'TOKENIZER_TOO_SLOW',
        { file: this.file, textLen: text.length, limitMs },
        { cause: error },
      );
    }
  }

  /** Whatever the package throws is the file's fault: what it takes for granted was not so. */
  #guarded<T>(run: () => T): T {
    try {
      return run();
    } catch (error) {
      if (error instanceof AtbError) throw error;
      const problem = error instanceof Error ? error.message : String(error);
      throw new AtbError('TOKENIZER_INVALID', { file: this.file, problem }, { cause: error });
    }
  }
}

/** A token of tokenizer_config.json: its text, or an object with its text. */
function contentOf(token: unknown): string | undefined {
  const content = typeof token === 'object' && token !== null && 'content' in token ? token.content : token;
  return typeof content === 'string' ? content : undefined;
}

function asList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function checkConfig(config: unknown, file: string): Record<string, unknown> {
  if (typeof config !== 'object' || config === null || Array.isArray(config)) {
    throw new AtbError('TOKENIZER_INVALID', {
      file,
      problem: `must be an object, found ${describeValue(config)}`,
    });
  }
  for (const flag of ['remove_space', 'do_lowercase_and_remove_accent']) {
    if ((config as Record<string, unknown>)[flag] === true) {
      throw new AtbError('TOKENIZER_INVALID', { file, problem: `${flag} is not supported` });
    }
  }
  return config as Record<string, unknown>;
}

async function adviceFor(dir: string): Promise<string> {
  const hasSentencePiece = (await readModelText(dir, 'tokenizer.model', 0).catch(() => '')) !== undefined;
  return hasSentencePiece
    ? 'its tokenizer.model must be converted first: AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR) in Python'
    : 'copy it from where the checkpoint comes from, or use token ids only (--load_tokenizer False --input_ids …)';
}
