/** Rotary position embedding of one model, as config.json gives it, with every default filled in. */
export interface RopeConfig {
  readonly theta: number;
  /** Rotated elements of a head: all of them. */
  readonly headDim: number;
  readonly maxPositionEmbeddings: number;
  readonly scaling: RopeScaling;
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
    }
  | {
      readonly type: 'longrope';
      /** One factor for each frequency: headDim / 2 of them. */
      readonly shortFactor: readonly number[];
      readonly longFactor: readonly number[];
      readonly originalMaxPositionEmbeddings: number;
      readonly attentionFactor: number;
    };

/** Whether a token's cos and sin depend on the length of its sequence, not on its position alone. */
export const isLengthDependent = ({ scaling }: RopeConfig): boolean =>
  scaling.type === 'dynamic' || scaling.type === 'longrope';
