import { integer, only, SIZE } from './checks.js';
import { type Field, field } from './fields.js';
import { type IndexerDefaults, indexer, sharedIndexers } from './indexer.js';

type Indexed = {
  readonly numHiddenLayers: number;
  readonly attends: readonly boolean[];
};

/** What an earlier layer chose goes through no layer of linear attention. */
const indexOwners: Field<readonly number[], Indexed> = {
  read(json, config) {
    const owners = sharedIndexers.read(json, config);
    const lost = owners.findIndex(
      (owner, layer) =>
        config.attends[layer] && !config.attends.slice(owner, layer).every((attends) => attends),
    );
    if (lost >= 0)
      json.problem(
        `indexer_types must be "full" in layer ${lost}: linear attention before it chooses nothing`,
      );
    return owners;
  },
};

/** How many pools a query attends to: `index_topk` counts their tokens. */
const indexTopK: Field<number, { readonly tokensPerKey: number }> = {
  read(json, { tokensPerKey: size }) {
    const found = json.value('index_topk', SIZE) ?? 2048;
    if (found % size !== 0) json.problem(`index_topk (${found}) must be a multiple of index_kpool (${size})`);
    return found / size;
  },
};

/** What a family whose indexers choose pools of tokens must state. */
interface PooledDefaults extends Pick<IndexerDefaults, 'heads'> {
  /** Tokens of a pool. */
  readonly tokensPerKey: number;
}

/** What chooses pools of tokens, in models some of whose layers have linear attention. */
export const pooledIndexer = ({ heads, tokensPerKey }: PooledDefaults) => ({
  ...indexer({ heads, interleaved: false }),
  // A pool of one token would be a key as others are.
  tokensPerKey: field('index_kpool', integer(2, 4096), tokensPerKey),
  takesTail: field('index_kpool_always_select_tail', only(true), true),
  indexTopK,
  indexOwners,
});
