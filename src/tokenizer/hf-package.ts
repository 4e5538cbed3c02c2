import * as tokenizers from '@huggingface/tokenizers';

// The package's own declarations import without file extensions, which "nodenext" does not resolve: everything would
// be `any`. This is the part of 0.2.0 that we use.

/** One tokenizer: its steps are public, and are run one by one by `TokenEncoder`. */
export interface PackageTokenizer {
  readonly normalizer: PackageNormalizer | null;
  readonly pre_tokenizer: PackagePreTokenizer | null;
  readonly model: PackageModel;
  readonly post_processor: PackagePostProcessor | null;
  encode(text: string, options: { add_special_tokens: boolean }): { readonly ids: number[] };
  /** Throws for no ids. */
  decode(
    ids: readonly number[],
    options: { skip_special_tokens: boolean; clean_up_tokenization_spaces: boolean },
  ): string;
  token_to_id(token: string): number | undefined;
  id_to_token(id: number): string | undefined;
}

export interface PackageNormalizer {
  normalize(text: string): string;
  /** Of a `Sequence`. */
  readonly normalizers?: readonly (PackageNormalizer | null)[];
}

export interface PackagePreTokenizer {
  pre_tokenize(text: string, options: { section_index: number }): string[];
}

export interface PackageModel {
  /** By id, with holes. */
  readonly vocab: readonly (string | undefined)[];
  readonly tokens_to_ids: ReadonlyMap<string, number>;
  readonly unk_token_id?: number;
  readonly unk_token?: string | null;
  /** Pieces to tokens, unknown ones fused where the file asks for it. */
  _call(pieces: readonly string[]): string[];
}

export interface PackagePostProcessor {
  post_process(
    tokens: readonly string[],
    pair: null,
    addSpecialTokens: boolean,
  ): { readonly tokens: string[] };
}

interface Package {
  readonly Tokenizer: new (json: object, config: object) => PackageTokenizer;
  readonly SplitPreTokenizer: new (config: {
    readonly type: 'Split';
    readonly pattern: { readonly Regex: string };
    readonly behavior: 'Isolated';
    readonly invert: boolean;
  }) => { pre_tokenize_text(text: string): string[] };
}

export const { Tokenizer, SplitPreTokenizer } = tokenizers as unknown as Package;
