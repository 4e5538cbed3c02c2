import type { RowShares } from './row-shares.js';

/** How rows of an encoder stand to each other: frames in time, and within each of them rows below each other and side by side. */
export interface InsertGrid {
  readonly frames: number;
  readonly rows: number;
  readonly columns: number;
  /** Positions from one frame to the next; 1 when absent. */
  readonly interval?: number;
}

/** One thing that is no text, as an encoder of a model reads it: what a processor makes of a picture or of sound. */
export interface EncoderInput {
  /** [rows, features] in f32, `rows` of them. */
  readonly data: Float32Array;
  /** What the encoder's work is measured by. */
  readonly rows: number;
  /** Rows that the encoder gives: tokens of a prompt. */
  readonly count: number;
  /** [frames, rows, columns] of `data`. */
  readonly shape: readonly [frames: number, rows: number, columns: number];
  /** What its tokens are made of, where they are not the encoder's own rows in order. [count] */
  readonly shares?: RowShares;
  /** Of what the encoder gives; undefined where it stands in a line like text. */
  readonly grid?: InsertGrid | undefined;
  /** The ids of those tokens, where they are not all the same: some may be words. [count] */
  readonly tokens?: Int32Array;
  /** Ids of what a prompt says, for encoders that read it as well, each by a tokenizer of its own. */
  readonly words?: Int32Array;
  /**
   * How many of the last rows come behind the prompt, which ends with this: tokens of the answer get them, one after
   * another, and it ends with the last. None when absent.
   */
  readonly ahead?: number;
  /** Which of a model's encoders reads it, where there is one beside the first: of sound, or of frames. */
  readonly encoder?: 'second';
  /** Whether its tokens see each other, whichever comes first: one step computes them all. */
  readonly isWhole?: boolean;
  /** How many frames of `data` stand before its own, as its first rows see them, too; none when absent. */
  readonly lead?: number;
  /** Of a sound that is read in several stretches, how many of them come before this one; 0 when absent. */
  readonly stretch?: number;
  /** Of sound, for models that hear otherwise where a prompt shows pictures, too: whether it does. */
  readonly isBesideOthers?: boolean;
  /** SHA-256 over everything that decides what the encoder gives, as 8 integers: equal keys, equal rows. */
  readonly key: Int32Array;
  /** Of several things that decide about a prompt as one: each of them, where its own token stands. */
  readonly parts?: readonly Insert[];
}

/** Tokens of a prompt, words among them, whose positions follow from no grid. */
export interface PlacedTokens {
  /** The place of the first of them. */
  readonly start: number;
  /** Of each in time, height and width, how far its position is ahead of that which a word would have in its first place. */
  readonly offsets: readonly (readonly [time: number, height: number, width: number])[];
  /** Positions that they take: words behind them go on there. */
  readonly extent: number;
}

/** Tokens of a prompt whose embeddings an encoder makes. */
export interface Insert {
  /** The place of the first of them. There are `input.count`. */
  readonly start: number;
  readonly input: EncoderInput;
  /** Where positions of its tokens are given, and of what stands about them: perhaps the same for several inserts. */
  readonly placed?: PlacedTokens;
}

/** A prompt as models read it: each placeholder stands as often as its encoder gives rows. */
export interface ExpandedPrompt {
  readonly tokens: Int32Array;
  readonly inserts: readonly Insert[];
}

/** The place behind the last token of an insert. */
export const endOf = ({ start, input }: Insert): number => start + input.count;

/** The inserts that tokens [start, start + count) are part of. */
export const insertsWithin = (inserts: readonly Insert[], start: number, count: number): Insert[] =>
  inserts.filter((insert) => insert.start < start + count && endOf(insert) > start);

/** How many tokens of an answer the last insert has rows for; 0: as many as it likes. */
export const aheadOf = (inserts: readonly Insert[]): number => inserts.at(-1)?.input.ahead ?? 0;
