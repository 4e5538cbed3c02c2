/**
 * Which texts are allowed: a context-free grammar over bytes. Each rule is an automaton whose edges read a byte, read what
 * another rule allows, or read nothing. Rule 0 is the whole text.
 */
export interface GrammarSpec {
  /** Nodes are numbered from 0. */
  readonly nodes: number;
  /** For each rule: its start and its end. */
  readonly rules: Int32Array;
  /** For each edge: from, to, and the first and last of the bytes that it reads. */
  readonly bytes: Int32Array;
  /** For each edge: from, to, rule. */
  readonly calls: Int32Array;
  /** For each edge: from, to. */
  readonly empty: Int32Array;
}

/** The bytes that each token writes. */
export interface Vocabulary {
  readonly bytes: Uint8Array;
  /** Token t writes bytes[offsets[t]] up to bytes[offsets[t + 1]]. One that writes none is never allowed. */
  readonly offsets: Int32Array;
  /** Tokens that end a text. */
  readonly ends: Int32Array;
}
