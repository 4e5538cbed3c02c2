/** How a token changes a head's state. */
export type RecurrentRule =
  | {
      readonly rule: 'gated_delta';
      readonly keyHeads: number;
      readonly valueHeads: number;
      readonly keySize: number;
      readonly valueSize: number;
      /** What sigmoids of betas are multiplied by. */
      readonly mostBeta: number;
      /** Whether each row of a state has a step of its own. */
      readonly decaysByKey: boolean;
      /** What logarithms of decays stay above; they have no such bound when absent. */
      readonly lowerBound?: number | undefined;
    }
  | {
      readonly rule: 'mamba2';
      readonly heads: number;
      readonly headSize: number;
      readonly stateSize: number;
      readonly groups: number;
      /** Between which steps are kept. */
      readonly steps: readonly [least: number, most: number];
    }
  | {
      /** Each channel has a step, and each number of its state a decay of its own; each head a B and a C. */
      readonly rule: 'mamba';
      readonly heads: number;
      readonly headSize: number;
      readonly stateSize: number;
    }
  | {
      /** Each channel has a number for a state, and gates of what goes into it and of what it forgets. */
      readonly rule: 'rg_lru';
      readonly heads: number;
      readonly headSize: number;
    };
