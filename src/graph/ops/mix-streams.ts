import { count, lacking, type OpDefinition } from './definition.js';

/**
 * Sums of streams by what HyperWeights gives: streams[tokens, n, hidden], weights f32[tokens, C] -> with `collapse` their
 * sum by the first n weights, [tokens, hidden]. With `expand` a result[tokens, hidden] follows: stream k becomes that times
 * weight n + k, plus the sum of all streams j by row j, column k of the matrix behind these -> [tokens, n, hidden].
 */
export interface MixStreamsParam {
  readonly mix: 'collapse' | 'expand';
}

export const mixStreams: OpDefinition<'MixStreams', MixStreamsParam> = {
  type: 'MixStreams',
  keys: { mix: ['collapse', 'expand'] },
  lacks: (param) => lacking(param, 'mix', '"collapse" or "expand"'),
  arity: ({ mix }) => ({ inputs: 2 + count(mix === 'expand'), outputs: 1 }),
  shapes(inputs, { mix }) {
    const { dtype, shape } = inputs.at(0, 3);
    const [tokens = 0, streams = 0, hidden = 0] = shape;
    inputs.sameShape(1, [tokens, streams * (2 + streams)]);
    if (mix === 'collapse') return [{ dtype, shape: [tokens, hidden] }];
    inputs.sameShape(2, [tokens, hidden]);
    inputs.sameDtype(0, 2);
    return [{ dtype, shape }];
  },
};
