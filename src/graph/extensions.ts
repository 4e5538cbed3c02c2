/**
 * What our graphs can say and ATB cannot. Models never use these directly: engine passes introduce them, and the
 * legality check refuses them, so a graph for export never holds one. fp32 activations are the other extension.
 */
export interface ExtensionKeys {
  /** A query sees keys at its own position and before: replaces a mask tensor. */
  readonly causal?: true;
  /** With `causal`: a query at position p sees keys in (p - windowSize, p], as `sliding_window` in transformers. */
  readonly windowSize?: number;
}

/** Param keys beyond ATB's, by op type. */
export const EXTENSION_KEYS: Readonly<Record<string, readonly (keyof ExtensionKeys)[]>> = {
  SelfAttention: ['causal', 'windowSize'],
  PagedAttention: ['causal', 'windowSize'],
};

/** Op types beyond ATB's. */
export const EXTENSION_OPS: readonly string[] = [];
