/** Rotary position embedding of one model, as config.json gives it, with every default filled in. */
export interface RopeConfig {
  readonly theta: number;
  /** Elements of a head, and of a row of the tables. */
  readonly headDim: number;
  /** The first elements of a head that turn; those behind them stay. Even, at most headDim. */
  readonly rotaryDim: number;
  /**
   * Whether the checkpoint turns elements 2i and 2i + 1 together, not i and i + rotaryDim / 2. Tables do not depend on it:
   * rows of the q and k projections are put in order when they are loaded.
   */
  readonly interleaved: boolean;
  /** Whether halves of a head turn by an axis each, see `RotaryHeads`; they do not when absent. */
  readonly axial?: boolean;
  readonly maxPositionEmbeddings: number;
  readonly scaling: RopeScaling;
  /** Whether elements turn the other way; they do not when absent. */
  readonly turnsBack?: boolean;
  /** Whether cos and sin stay f32 whatever is turned by them; they are rounded to its dtype when absent. */
  readonly keepsF32?: boolean;
}

export type RopeScaling =
  | { readonly type: 'default' }
  | { readonly type: 'linear'; readonly factor: number }
  | { readonly type: 'dynamic'; readonly factor: number }
  | {
      readonly type: 'llama3';
      readonly factor: number;
      readonly lowFreqFactor: number;
      readonly highFreqFactor: number;
      readonly originalMaxPositionEmbeddings: number;
    }
  | {
      readonly type: 'yarn';
      readonly factor: number;
      readonly originalMaxPositionEmbeddings: number;
      readonly betaFast: number;
      readonly betaSlow: number;
      readonly truncate: boolean;
      /** What cos and sin are multiplied by. */
      readonly attentionFactor: number;
      /** What scores of latent attention are multiplied by, beside their scale; 1 when absent. */
      readonly scoreFactor?: number;
    }
  | {
      /** The first of all frequencies turn, and the others have the angle 0: so many of headDim / 2. */
      readonly type: 'proportional';
      readonly turning: number;
      readonly factor: number;
    }
  | {
      readonly type: 'longrope';
      /** One factor for each frequency: rotaryDim / 2 of them. */
      readonly shortFactor: readonly number[];
      readonly longFactor: readonly number[];
      readonly originalMaxPositionEmbeddings: number;
      readonly attentionFactor: number;
    };

/** Whether a token's cos and sin depend on the length of its sequence, not on its position alone. */
export const isLengthDependent = ({ scaling }: RopeConfig): boolean =>
  scaling.type === 'dynamic' || scaling.type === 'longrope';
