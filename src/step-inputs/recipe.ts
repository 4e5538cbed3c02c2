import type { MaskReader } from './mask-values.js';

/** How frequencies of a rotary embedding come about, for whoever makes its tables without this package. */
export type FrequencyRecipe =
  /** The same for every length. [rotaryDim / 2] */
  | { readonly by: 'position'; readonly inverse: readonly number[] }
  /** NTK scaling: beyond `maxPositionEmbeddings`, theta grows with the length. */
  | {
      readonly by: 'dynamic_length';
      readonly theta: number;
      readonly factor: number;
      readonly maxPositionEmbeddings: number;
    }
  /** Two sets; the long one for sequences longer than `originalMaxPositionEmbeddings`. [rotaryDim / 2] each */
  | {
      readonly by: 'long_or_short';
      readonly short: readonly number[];
      readonly long: readonly number[];
      readonly originalMaxPositionEmbeddings: number;
    };

/**
 * Row p: `cos(p * inverse) * attentionFactor` in f32, then 1 (sin: 0) up to headDim / 2, and all of that twice. With
 * frequencies by position, rows are positions from 0; with others, the rows of a step's tokens.
 */
export interface RotaryRecipe {
  readonly headDim: number;
  readonly rotaryDim: number;
  readonly attentionFactor: number;
  readonly frequencies: FrequencyRecipe;
}

/** How an input of a step is made, as data for programs in other languages (`atb-models export`). */
export type InputRecipe =
  | {
      readonly made:
        | 'token_ids'
        /** Each token's place in its sequence, from 0. */
        | 'positions'
        /** 0, 1, … over the step's tokens. */
        | 'row_numbers'
        /** `block * blockSize + offset` of each token. */
        | 'slots'
        /** [sequences, blocks], padded with 0. */
        | 'block_tables'
        /** Tokens of each sequence that may be seen, those of the step included. */
        | 'context_lengths'
        /** The same of each token: [tokens, blocks], [tokens]. */
        | 'block_tables_of_tokens'
        | 'context_lengths_of_tokens'
        /** Tokens that each sequence brings. */
        | 'query_lengths'
        /** The row of each sequence's last token. */
        | 'last_rows'
        /** A row for each token of the step that is no word, out of the first columns of what its encoder gives; or zeros. */
        | 'inserted_rows'
        /** The row of each token: i for a word at i, behind all tokens for the others. */
        | 'embedding_rows'
        /** The row of each token in `deep_rows`. */
        | 'deep_index';
    }
  /** Zeros, then a row for each token of the step that is no word: of its encoder's columns, those behind `level + 1` widths. */
  | { readonly made: 'deep_rows'; readonly level: number }
  /** Each token's position on one axis of what stands in the text, as `mrope` places it. */
  | { readonly made: 'axis_positions'; readonly axis: PositionAxis }
  /** Each token's column or row in its picture, or that picture's number, as `gridAxes` places it. */
  | { readonly made: 'grid_positions'; readonly axis: GridAxis }
  /**
   * [tokens, 1]: `scale` where the sequence has any token that is no word, in this step or another, else 0; of `pictures`
   * where it has one of a picture, of `sound` where it has some of sound and none of a picture.
   */
  | { readonly made: 'insert_shares'; readonly scale: number; readonly of?: 'pictures' | 'sound' }
  /** 0, 1, … [count] */
  | { readonly made: 'range'; readonly count: number }
  | {
      readonly made: 'mask';
      /**
       * [128, 128]; or [context, context], rows and columns being positions; or [sequences, 1, context]; or [tokens,
       * context], a row for each token of the step; or [sequences, context, context], one of each sequence by positions.
       */
      readonly form: 'triangle' | 'positions' | 'last_positions' | 'tokens' | 'sequences';
      /** Whose mask it is: decides what it holds where a query must not look. */
      readonly reader: MaskReader;
      readonly windowSize?: number;
      /** Whether a query sees none before the last multiple of so many positions; see `MaskUse`. */
      readonly chunkSize?: number;
      /** Whether a query sees `windowSize` keys before it and as many behind it; see `MaskUse`. */
      readonly bothWays?: boolean;
      /** Whether tokens of one insert see each other. */
      readonly seesInserts?: boolean;
    }
  | {
      readonly made: 'alibi_mask';
      /** [heads, context, context], rows and columns being positions; or [tokens, heads, 1, context]. */
      readonly form: 'positions' | 'tokens';
      /** One for each head. Where a query must not look, it holds what PagedAttention's masks hold there. */
      readonly slopes: readonly number[];
    }
  /**
   * [tokens, 1]: 1 + beta * ln(1 + floor((position + first) / length)) of each token, or
   * (1 + (position + first) / length) ** power; `first` is 0 or 1.
   */
  | ({ readonly made: 'query_scales'; readonly length: number; readonly first: number } & (
      | { readonly beta: number }
      | { readonly power: number }
    ))
  /** Row p: sin, then cos of (p + firstRow) times each of hiddenSize / 2 frequencies from 1 on; zeros in zeroRow. */
  | {
      readonly made: 'sinusoids';
      readonly hiddenSize: number;
      readonly firstRow: number;
      readonly zeroRow?: number | undefined;
      /** From a frequency of 1 to 1 / 10000; hiddenSize / 2 - 1 when absent. */
      readonly steps?: number | undefined;
    }
  | ({
      readonly made: 'rotary';
      readonly part: 'cos' | 'sin';
      /** The frequencies, of headDim / 2, that the table holds; it is 0 at all others. All of them when absent. */
      readonly kept?: readonly number[];
    } & RotaryRecipe);

/** The axes of positions of pictures and videos. */
export type PositionAxis = 'time' | 'height' | 'width';

/** Those of tokens in pictures, where places in the text are an axis of their own. */
export type GridAxis = 'column' | 'row' | 'picture';
