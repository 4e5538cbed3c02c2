/** What distinguishes one of a model's graphs from the others: a model builds one graph of each kind that it has. */
export interface GraphKind {
  /** Part of the graph's name: `llama_prefill_graph`. */
  readonly name: string;
  /** Attention reads keys and values from the cache. Otherwise a step brings all the tokens that it attends to. */
  readonly readsCache: boolean;
  /** Each sequence may bring several tokens against its cache; the input `q_len` says how many. */
  readonly hasQueryLens: boolean;
  /** Only the rows that `lm_head_indices` names are results. Otherwise every row of the step is. */
  readonly gathersRows: boolean;
  /** Keys and values of the step go to the caches, for the steps after it. */
  readonly fillsCache: boolean;
}

/** Whether a step brings one token of each sequence against its cache, as decode does. */
export const hasOneQuery = ({ readsCache, hasQueryLens }: GraphKind): boolean => readsCache && !hasQueryLens;

/** Whole prompts, each from its first token. */
export const PREFILL: GraphKind = {
  name: 'prefill',
  readsCache: false,
  hasQueryLens: false,
  gathersRows: true,
  fillsCache: true,
};

/** One token of each sequence, against its cache. */
export const DECODE: GraphKind = {
  name: 'decode',
  readsCache: true,
  hasQueryLens: false,
  gathersRows: false,
  fillsCache: true,
};

/** Several tokens of each sequence, against its cache: a chunk of a long prompt, or drafted tokens to verify. */
export const SPLITFUSE: GraphKind = {
  name: 'splitfuse',
  readsCache: true,
  hasQueryLens: true,
  gathersRows: true,
  fillsCache: true,
};

/** Whole texts, of which vectors or scores come; nothing is generated and nothing is kept. */
export const ENCODE: GraphKind = {
  name: 'encode',
  readsCache: false,
  hasQueryLens: false,
  gathersRows: true,
  fillsCache: false,
};

/** What a second encoder of a model reads: sound or frames, where the first reads pictures. */
export const ENCODE_SECOND: GraphKind = { ...ENCODE, name: 'encode_second' };

/** The graphs of a model that generates text. */
export const DECODER_KINDS: readonly GraphKind[] = [PREFILL, DECODE, SPLITFUSE];
