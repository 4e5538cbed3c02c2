import type { OpDefinition } from './definition.js';
import { STATE_INPUTS, stateOf } from './state.js';

/**
 * One entry of every `tokensPerEntry` tokens (DeepSeek-V4's compressors): of each channel the mean of the window's values
 * by the softmax of their gates, to which a bias of the token's place in its window is added. With `overlaps` a token has
 * two series of values and gates: the first for the next window's entry, the second for its own's.
 * x[tokens, 2 * series * channels]: values of the series, then their gates; f32[series * channels, tokensPerEntry] of
 * biases; i32[batch] tokens of each sequence, those of the step included; state of 3 * series * channels numbers ->
 * [tokens, channels], the entry for a token that ends a window and zeros for the others, and the state in place.
 */
export interface WindowPoolParam {
  readonly tokensPerEntry: number;
  /** False when absent. */
  readonly overlaps?: boolean;
}

const STATE = 3;

export const windowPool: OpDefinition<'WindowPool', WindowPoolParam> = {
  type: 'WindowPool',
  keys: { tokensPerEntry: 'integer', overlaps: 'bool' },
  arity: () => ({ inputs: STATE + STATE_INPUTS, outputs: 2 }),
  inPlace: () => ({ 1: STATE }),
  shapes(inputs, { tokensPerEntry, overlaps = false }) {
    const { dtype } = inputs.at(0, 2);
    const series = overlaps ? 2 : 1;
    const channels = inputs.size(0, 1) / (2 * series);
    if (!Number.isInteger(channels))
      inputs.fail(`${inputs.size(0, 1)} columns must be values and gates of ${series} series`);
    inputs.sameShape(1, [series * channels, tokensPerEntry]);
    inputs.sameShape(2, [inputs.size(STATE + STATE_INPUTS - 1, 0)]);
    const state = stateOf(inputs, STATE, 3 * series * channels);
    return [{ dtype, shape: [inputs.size(0, 0), channels] }, state];
  },
};
