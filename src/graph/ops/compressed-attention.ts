import { count, lacking, type OpDefinition } from './definition.js';
import { pagedSequences } from './paged-sequences.js';

/**
 * Attention of each query to the last `windowSize` keys up to its own, and to entries that stand for `tokensPerEntry`
 * tokens each (DeepSeek-V4): q[tokens, heads, D], kCache[blocks, blockSize, 1, D], whose keys are their own values,
 * blockTables[batch, maxBlocks], contextLens[batch], qLens[batch], sinks f32[heads]; with tokensPerEntry a
 * cache that has a row for every so many tokens of a block, of which an entry is that of its last token; with hasChosen i32[tokens, K], the entries that a
 * query attends to as LightningIndexer gives them, in place of all that ended up to its own token -> [tokens, heads, D].
 */
export interface CompressedAttentionParam {
  readonly headNum: number;
  readonly qkScale: number;
  readonly windowSize: number;
  /** There are no entries when absent. */
  readonly tokensPerEntry?: number;
  /** False when absent. */
  readonly hasChosen?: boolean;
}

const SINKS = 5;

export const compressedAttention: OpDefinition<'CompressedAttention', CompressedAttentionParam> = {
  type: 'CompressedAttention',
  keys: {
    headNum: 'integer',
    qkScale: 'number',
    windowSize: 'integer',
    tokensPerEntry: 'integer',
    hasChosen: 'bool',
  },
  lacks: (param) => [
    ...lacking(param, 'headNum', 'an integer'),
    ...lacking(param, 'windowSize', 'an integer'),
  ],
  arity: ({ tokensPerEntry, hasChosen }) => ({
    inputs: SINKS + 1 + count(tokensPerEntry !== undefined, hasChosen),
    outputs: 1,
  }),
  shapes(inputs, { headNum, tokensPerEntry, hasChosen }) {
    const q = inputs.at(0, 3);
    const cache = inputs.at(1, 4).shape;
    inputs.equal('query heads', inputs.size(0, 1), headNum);
    inputs.equal('head size of keys', inputs.size(1, 3), inputs.size(0, 2));
    inputs.equal('heads of the cache', inputs.size(1, 2), 1);
    inputs.sameDtype(0, 1);
    pagedSequences(inputs, 2);
    inputs.sameShape(SINKS, [headNum]);
    if (tokensPerEntry !== undefined) {
      inputs.sameShape(SINKS + 1, cache.with(1, inputs.size(SINKS + 1, 1)));
      const rows = Math.ceil((cache[1] ?? 0) / tokensPerEntry);
      if (inputs.size(SINKS + 1, 1) < rows)
        inputs.fail(`a block must have at least ${rows} rows of entries, found ${inputs.size(SINKS + 1, 1)}`);
      inputs.sameDtype(1, SINKS + 1);
    }
    if (hasChosen) inputs.equal('queries with chosen entries', inputs.size(SINKS + 2, 0), inputs.size(0, 0));
    return [q];
  },
};
