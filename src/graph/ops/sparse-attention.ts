import { count, lacking, type OpDefinition } from './definition.js';
import { pagedSequences } from './paged-sequences.js';

/**
 * Latent attention of each query to some keys of its sequence alone: q[tokens, heads, D], kCache[blocks, blockSize,
 * 1, D], blockTables[batch, maxBlocks], contextLens[batch], qLens[batch], i32[tokens, K] the positions of the keys
 * that a query attends to, as LightningIndexer gives them, (f32[heads] with `hasSinks`) -> [tokens, heads,
 * mlaVHeadSize].
 */
export interface SparseAttentionParam {
  readonly headNum: number;
  readonly qkScale: number;
  /** Values are the first so many numbers of each key. */
  readonly mlaVHeadSize: number;
  /** The last input has a number for each head that takes part in its softmax as the score of a key without a value. */
  readonly hasSinks?: boolean;
}

export const sparseAttention: OpDefinition<'SparseAttention', SparseAttentionParam> = {
  type: 'SparseAttention',
  keys: { headNum: 'integer', qkScale: 'number', mlaVHeadSize: 'integer', hasSinks: 'bool' },
  lacks: (param) => [
    ...lacking(param, 'headNum', 'an integer'),
    ...lacking(param, 'mlaVHeadSize', 'an integer'),
  ],
  arity: ({ hasSinks }) => ({ inputs: 6 + count(hasSinks), outputs: 1 }),
  shapes(inputs, { headNum, mlaVHeadSize, hasSinks }) {
    const { dtype } = inputs.at(0, 3);
    const [tokens, cache] = [inputs.size(0, 0), inputs.at(1, 4)];
    inputs.equal('query heads', inputs.size(0, 1), headNum);
    inputs.equal('head size of keys', inputs.size(1, 3), inputs.size(0, 2));
    inputs.equal('heads of the cache', cache.shape[2] ?? 0, 1);
    inputs.sameDtype(0, 1);
    if (mlaVHeadSize > inputs.size(1, 3))
      inputs.fail(`mlaVHeadSize ${mlaVHeadSize} is more than a key has, ${inputs.size(1, 3)}`);
    pagedSequences(inputs, 2);
    inputs.at(5, 2);
    inputs.equal('queries with chosen keys', inputs.size(5, 0), tokens);
    if (hasSinks) inputs.sameShape(6, [headNum]);
    return [{ dtype, shape: [tokens, headNum, mlaVHeadSize] }];
  },
};
