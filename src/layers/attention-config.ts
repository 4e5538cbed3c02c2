import type { RopeConfig } from '../step-inputs/index.js';
import type { QueryScale } from './config/query-scale.js';

/** What attention is told by the configuration. */
export interface AttentionConfig {
  readonly hiddenSize: number;
  readonly numAttentionHeads: number;
  readonly numKeyValueHeads: number;
  readonly headDim: number;
  /** Of values, and so of what attention gives, where their heads have another size. */
  readonly valueHeadDim?: number | undefined;
  readonly qkvBias: boolean;
  /** Whether keys have a bias, where that differs from queries and values. */
  readonly keyBias?: boolean;
  readonly denseBias: boolean;
  /** Absent without rotary embedding. */
  readonly rope?: RopeConfig | undefined;
  /** The rotary embedding of layers with a window, where it is another one than `rope`. */
  readonly slidingRope?: RopeConfig | undefined;
  /** Of ALiBi, one for each head; absent without it. */
  readonly alibiSlopes?: readonly number[] | undefined;
  /** For each layer, how many keys a query sees with its own; undefined: all before it. */
  readonly slidingWindows: readonly (number | undefined)[];
  /** For each layer, the size of the chunks of positions within which a query sees keys; undefined or absent: none. */
  readonly attentionChunks?: readonly (number | undefined)[];
  /** Whether a token sees only itself and those before it; true when absent. */
  readonly isCausal?: boolean;
  /** Whether tokens of one insert see each other, whichever comes first; false when absent. */
  readonly seesInserts?: boolean;
}

/** What latent attention is told by the configuration. */
export interface LatentAttentionConfig {
  readonly hiddenSize: number;
  readonly numAttentionHeads: number;
  /** Numbers of the vector that queries are made of; undefined where they are made of the hidden state itself. */
  readonly qLoraRank: number | undefined;
  /** Numbers of the vector that keys and values are made of. */
  readonly kvLoraRank: number;
  /** Sizes of a query's head that do not turn; `headDim`, those of the rotary embedding, are behind them. */
  readonly qkNopeHeadDim: number;
  readonly headDim: number;
  readonly vHeadDim: number;
  readonly qkvBias: boolean;
  readonly denseBias: boolean;
  /** Absent where nothing turns: the shared part of keys is one like the others. */
  readonly rope?: RopeConfig | undefined;
  /** How queries grow with their positions; not at all when absent. */
  readonly queryScale?: QueryScale | undefined;
}

/** Of an encoder whose rows all see each other, and whose heads all have keys and values of their own. */
export const encoderAttention = ({
  numHeads,
  ...rest
}: { readonly numHeads: number } & Pick<
  AttentionConfig,
  'hiddenSize' | 'qkvBias' | 'keyBias' | 'denseBias'
>): AttentionConfig => ({
  ...rest,
  numAttentionHeads: numHeads,
  numKeyValueHeads: numHeads,
  headDim: rest.hiddenSize / numHeads,
  slidingWindows: [],
  isCausal: false,
});
