export interface BpeOptions {
  /** Ids by tokens. */
  readonly vocab: Readonly<Record<string, unknown>>;
  /** Pairs, those that are merged first before the others: "a b", or ["a", "b"]. */
  readonly merges: readonly (string | readonly [string, string])[];
  /** A word that is a token becomes it, whatever its merges would give; false when absent. */
  readonly ignoresMerges?: boolean | undefined;
}

/** The model of a tokenizer.json whose tokens are merges of bytes. */
export const byteLevelBpe = ({ vocab, merges, ignoresMerges = false }: BpeOptions): object => ({
  type: 'BPE',
  dropout: null,
  unk_token: null,
  continuing_subword_prefix: null,
  end_of_word_suffix: null,
  fuse_unk: false,
  byte_fallback: false,
  ignore_merges: ignoresMerges,
  vocab,
  merges,
});
