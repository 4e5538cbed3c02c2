import { lacking, type OpDefinition } from './definition.js';
import { pagedSequences } from './paged-sequences.js';

/**
 * Attention of each query to some blocks of positions alone, others for each head of keys: q[tokens, heads, D],
 * kCache[blocks, cacheBlock, kvHeads, D], vCache[blocks, cacheBlock, kvHeads, V], blockTables[batch, maxBlocks],
 * contextLens[batch], qLens[batch], i32[tokens, kvHeads * K] for each head of keys the numbers of blocks, as
 * LightningIndexer with `blockSize` gives them -> [tokens, heads, V]. Of its own block a query sees the keys up to its
 * own.
 */
export interface BlockAttentionParam {
  readonly headNum: number;
  readonly kvHeadNum: number;
  readonly qkScale: number;
  /** Positions of a block that is chosen: a multiple of 32. */
  readonly blockSize: number;
}

export const blockAttention: OpDefinition<'BlockAttention', BlockAttentionParam> = {
  type: 'BlockAttention',
  keys: { headNum: 'integer', kvHeadNum: 'integer', qkScale: 'number', blockSize: 'integer' },
  lacks: (param) => [
    ...lacking(param, 'headNum', 'an integer'),
    ...lacking(param, 'blockSize', 'an integer'),
  ],
  arity: () => ({ inputs: 7, outputs: 1 }),
  shapes(inputs, { headNum, kvHeadNum }) {
    const { dtype } = inputs.at(0, 3);
    const [tokens, keys] = [inputs.size(0, 0), inputs.at(1, 4).shape];
    inputs.equal('query heads', inputs.size(0, 1), headNum);
    inputs.equal('head size of keys', inputs.size(1, 3), inputs.size(0, 2));
    inputs.equal('heads of the cache', inputs.size(1, 2), kvHeadNum);
    inputs.at(2, 4);
    inputs.sameShape(2, keys.with(3, inputs.size(2, 3)));
    inputs.sameDtype(0, 1);
    inputs.sameDtype(1, 2);
    pagedSequences(inputs, 3);
    inputs.at(6, 2);
    inputs.equal('queries with chosen blocks', inputs.size(6, 0), tokens);
    if (inputs.size(6, 1) % kvHeadNum !== 0)
      inputs.fail(
        `chosen blocks (${inputs.size(6, 1)}) must be as many for each of ${kvHeadNum} heads of keys`,
      );
    return [{ dtype, shape: [tokens, headNum, inputs.size(2, 3)] }];
  },
};
