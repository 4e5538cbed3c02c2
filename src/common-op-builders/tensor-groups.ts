/* Tensors that belong together, by their names in a graph. */

/** A paged KV cache, by the names of its tensors. */
export interface AttentionCache {
  readonly key: string;
  readonly value: string;
  /** Where each new token goes. */
  readonly slots: string;
  /** Read where attention reads the cache. */
  readonly blockTables: string;
}

/** The cache of latent attention, whose values are parts of its keys. */
export type LatentCache = Omit<AttentionCache, 'value'>;

/** What latent attention reads and writes. */
export interface LatentTensors {
  /** [tokens, heads * qkNopeHeadDim] and, rotated, [tokens, heads * qkRopeHeadDim]: absent where nothing turns. */
  readonly qNope: string;
  readonly qRope?: string | undefined;
  /**
   * [tokens, kvLoraRank] after its norm, absent where an earlier layer filled the cache; and, rotated, [tokens,
   * qkRopeHeadDim], which all heads share.
   */
  readonly latent?: string | undefined;
  readonly kRope?: string | undefined;
  /** Of each head: [heads, kvLoraRank, qkNopeHeadDim], from queries; [heads, vHeadDim, kvLoraRank], to values. */
  readonly keyUp: string;
  readonly valueUp: string;
  /** Where keys are kept; absent where nothing is. */
  readonly cache?: LatentCache;
  readonly seqLen: string;
  /** Read in prefill and in split-fuse, and in split-fuse alone. */
  readonly attentionMask: string;
  readonly qLen: string;
  /** i32 [tokens, most]: positions of the keys that each query attends to; read where `keys` are chosen. */
  readonly chosen?: string;
  /** f32 [heads], read with `hasSinks`. */
  readonly sinks?: string;
  /** [tokens, 1], by which queries are multiplied; they stay when absent. */
  readonly queryScales?: string;
  /** [tokens, heads * vHeadDim] */
  readonly attentionOut: string;
}

/** `q` [tokens, heads, D], `weights` f32 [tokens, heads], `k` [tokens, 1, D] -> `chosenOut` i32 [tokens, topK]. */
export interface IndexerTensors {
  readonly q: string;
  readonly weights: string;
  readonly k: string;
  readonly cache: LatentCache;
  readonly seqLen: string;
  readonly qLen: string;
  readonly chosenOut: string;
}

/** A step's tokens as sequences of one token each, by the names of their tensors. */
export interface TokenSequences {
  readonly blockTables: string;
  readonly seqLen: string;
}

/** A recurrent state by its name, and how a step goes through it (step-inputs/state-blocks.ts). */
export interface StateTensors {
  readonly state: string;
  readonly from: string;
  readonly to: string;
  readonly qLen: string;
}
