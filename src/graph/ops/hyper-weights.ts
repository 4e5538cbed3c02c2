import { fixed, type OpDefinition } from './definition.js';

/**
 * How streams of hidden states collapse and mix (manifold-constrained hyper-connections, arXiv:2512.24880):
 * streams[tokens, n, hidden], mixes of them f32[tokens, C], f32[C] of biases, f32[3] of scales -> f32[tokens, C], C =
 * (2 + n) * n. A mix is divided by the root of the streams' mean square + normEpsilon, multiplied by its scale, and biased.
 * Of n of them the sigmoids + epsilon, by which streams collapse; of the next twice the sigmoids, by which a result is added to each stream; and, row by row, a matrix of softmaxes + epsilon whose columns and rows are
 * divided by their sums + epsilon in turn, `iterations` times the columns.
 */
export interface HyperWeightsParam {
  /** 1 when absent. */
  readonly iterations?: number;
  /** 0 when absent. */
  readonly epsilon?: number;
  /** 0 when absent. */
  readonly normEpsilon?: number;
}

export const hyperWeights: OpDefinition<'HyperWeights', HyperWeightsParam> = {
  type: 'HyperWeights',
  keys: { iterations: 'integer', epsilon: 'number', normEpsilon: 'number' },
  arity: fixed(4, 1),
  shapes(inputs) {
    const [tokens = 0, streams = 0] = inputs.at(0, 3).shape;
    const mixes = inputs.at(1, 2);
    inputs.sameShape(1, [tokens, streams * (2 + streams)]);
    inputs.sameShape(2, [streams * (2 + streams)]);
    inputs.sameShape(3, [3]);
    inputs.sameDtype(1, 2, 3);
    return [mixes];
  },
};
