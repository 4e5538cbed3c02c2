import type { GraphKind } from '../graph/graph-kind.js';
import type { EncoderInput, Insert } from '../media/index.js';

/** Embeddings of tokens of a step that an encoder made. */
export interface InsertedRows {
  /** The first of these tokens, among those of the step. */
  readonly at: number;
  /** [tokens, width] in f32. */
  readonly rows: Float32Array;
  readonly width: number;
}

/**
 * Places of the caches of what encoders gave, one behind the other, as many as things are kept together there: first
 * their rows that hold something, thing by thing, then the others. None: the step needs it not.
 */
export type ShownPlace = readonly number[];

/** Where what an encoder gives of one thing goes. */
export interface EncoderPlace {
  readonly place: ShownPlace;
  /** What is kept together there, and which of it this is. */
  readonly inputs: readonly EncoderInput[];
  readonly index: number;
}

/** One step in numbers: everything that its inputs are made of. Tokens lie packed, one sequence after another. */
export interface Step {
  readonly kind: GraphKind;
  /** [tokens] */
  readonly tokenIds: Int32Array;
  /** [tokens]: each token's place in its sequence, from 0. */
  readonly positions: Int32Array;
  /** [tokens]: which text of a pair each token belongs to, from 0; all to the first when absent. */
  readonly tokenTypes?: Int32Array;
  /** [batch]: how many of the tokens each sequence brings. */
  readonly queryLens: Int32Array;
  /** [batch]: how many tokens of each sequence may be seen, those of this step included. */
  readonly seqLens: Int32Array;
  /** [batch]: the tokens of each sequence, at least those before the ones of this step; absent where none are before. */
  readonly sequences?: readonly ArrayLike<number>[];
  /** [batch]: how many tokens each sequence's prompt has. */
  readonly promptLens: Int32Array;
  /** [batch][blocks]: the cache blocks of each sequence, in the order of its tokens. */
  readonly blockTables: readonly (readonly number[])[];
  /** [tokens]: where each token's keys and values go, `block * blockSize + offset`; made of the tables when absent. */
  readonly slots?: Int32Array;
  /** [rows]: the tokens of this step whose logits are wanted. */
  readonly headRows: Int32Array;
  /** [batch]: what stands in each sequence that is no text, in order; nothing when absent. */
  readonly inserts?: readonly (readonly Insert[])[];
  /** [batch]: the LoRA adapter of each sequence, by its place among those of the run; none when absent. */
  readonly adapters?: readonly (number | undefined)[];
  /** The embeddings of those tokens of the step that are part of inserts. */
  readonly inserted?: readonly InsertedRows[];
  /** [batch][things]: which places have what `shownThings` says of a sequence, where this step's tokens see it. */
  readonly shownPlaces?: readonly (readonly ShownPlace[])[];
  /** What an encoder reads, one thing after another. Such a step has no tokens; its sequences are frames. */
  readonly encoderInputs?: readonly EncoderInput[];
  /** The places of those caches that each of these gets; without them nothing is kept. */
  readonly encoderPlaces?: readonly EncoderPlace[];
}
