import { count, type OpDefinition } from './definition.js';
import { STATE_INPUTS, stateOf } from './state.js';

/**
 * Each channel's convolution over a sequence's last tokens: x[tokens, at least channels], of which the first channels are
 * read, weight f32[taps, channels], (bias f32[channels]), state of (taps - 1) * channels numbers ->
 * [tokens, channels], and the state in place.
 */
export interface CausalConv1dParam {
  readonly hasBias?: boolean;
  /** Of what comes out; none when absent. */
  readonly activation?: 'none' | 'swish';
}

export const causalConv1d: OpDefinition<'CausalConv1d', CausalConv1dParam> = {
  type: 'CausalConv1d',
  keys: { hasBias: 'bool', activation: ['none', 'swish'] },
  arity: ({ hasBias }) => ({ inputs: 2 + count(hasBias) + STATE_INPUTS, outputs: 2 }),
  inPlace: ({ hasBias }) => ({ 1: 2 + count(hasBias) }),
  shapes(inputs, { hasBias }) {
    const { dtype } = inputs.at(0, 2);
    inputs.at(1, 2);
    const [taps, channels] = [inputs.size(1, 0), inputs.size(1, 1)];
    if (channels > inputs.size(0, 1)) inputs.fail(`${channels} channels must be among ${inputs.size(0, 1)}`);
    if (hasBias) inputs.sameShape(2, [channels]);
    const state = stateOf(inputs, 2 + count(hasBias), (taps - 1) * channels);
    return [{ dtype, shape: [inputs.size(0, 0), channels] }, state];
  },
};
