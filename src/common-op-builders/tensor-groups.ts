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
