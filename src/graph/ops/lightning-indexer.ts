import { count, lacking, type OpDefinition } from './definition.js';
import { pagedSequences } from './paged-sequences.js';

/**
 * The keys that each query attends to (DeepSeek Sparse Attention, arXiv:2512.02556): the `topK` of those up to its
 * own with the largest sums over heads of weight * relu(q k^T); of equal ones those before. q[tokens, heads, D] or
 * [tokens, heads * D], weights f32[tokens, heads], kCache[blocks, blockSize, 1, D], blockTables[batch, maxBlocks],
 * contextLens[batch], qLens[batch] -> i32[tokens, topK]: positions in ascending order, and -1 behind them where a
 * query sees fewer keys.
 *
 * With `blockSize` each head chooses for itself, and blocks of so many positions: the `localBlocks` last ones up to the
 * query's own, then those in which a key up to its own has the largest q k^T. There are no weights then, and numbers of
 * blocks come out, i32[tokens, heads * topK].
 */
export interface LightningIndexerParam {
  readonly headNum: number;
  readonly topK: number;
  /**
   * Tokens that a key stands for; 1 when absent. With more a block has a row for every so many of its tokens, a key is that
   * of the last of its own, a query sees keys that ended up to its own token, positions are numbers of keys, and a seventh
   * input says how many tokens a block has, i32[1].
   */
  readonly tokensPerKey?: number;
  /**
   * Whether positions of tokens come out, i32[tokens, (topK + 1) * tokensPerKey - 1]: those of the chosen keys, then those
   * up to the query's own behind the last key that has ended; false when absent. Beside `tokensPerKey` alone.
   */
  readonly givesTokens?: boolean;
  /** Positions that are chosen together; keys are chosen one by one when absent. Not beside `tokensPerKey`. */
  readonly blockSize?: number;
  /** How many blocks up to a query's own are chosen in any case, at most `topK`; 0 when absent. */
  readonly localBlocks?: number;
}

export const lightningIndexer: OpDefinition<'LightningIndexer', LightningIndexerParam> = {
  type: 'LightningIndexer',
  keys: {
    headNum: 'integer',
    topK: 'integer',
    tokensPerKey: 'integer',
    givesTokens: 'bool',
    blockSize: 'integer',
    localBlocks: 'integer',
  },
  lacks: (param) => [...lacking(param, 'headNum', 'an integer'), ...lacking(param, 'topK', 'an integer')],
  arity: ({ tokensPerKey = 1, blockSize }) => ({
    inputs: 5 + count(blockSize === undefined, tokensPerKey > 1),
    outputs: 1,
  }),
  shapes(inputs, { headNum, topK, tokensPerKey = 1, givesTokens = false, blockSize }) {
    inputs.at(0, 2, 3);
    const keys = blockSize === undefined ? 2 : 1;
    const [tokens, cache] = [inputs.size(0, 0), inputs.at(keys, 4)];
    const width = inputs
      .at(0)
      .shape.slice(1)
      .reduce((product, size) => product * size, 1);
    inputs.equal('numbers of a query', width, headNum * inputs.size(keys, 3));
    inputs.equal('heads of the cache', cache.shape[2] ?? 0, 1);
    inputs.sameDtype(0, keys);
    if (blockSize === undefined) inputs.sameShape(1, [tokens, headNum]);
    pagedSequences(inputs, keys + 1);
    if (tokensPerKey > 1) inputs.sameShape(6, [1]);
    const chosen = givesTokens ? (topK + 1) * tokensPerKey - 1 : topK;
    return [{ dtype: 'i32', shape: [tokens, blockSize === undefined ? chosen : headNum * topK] }];
  },
};
