import { HEADS, integer, listOf, oneOf, only, SIZE, text } from './checks.js';
import type { ConfigReader } from './config-reader.js';
import { type Field, field } from './fields.js';

/** The defaults that a family with sparse attention must state. */
export interface IndexerDefaults {
  /** Heads of the indexer. */
  readonly heads: number;
  /** Whether pairs of its queries and keys that turn are neighbours. */
  readonly interleaved: boolean;
}

/** The largest head that caches take. */
const MOST = 576;

/** What chooses the keys that attention attends to (DeepSeek Sparse Attention). */
export const indexer = ({ heads, interleaved }: IndexerDefaults) => ({
  indexHeads: field('index_n_heads', HEADS, heads),
  indexHeadDim,
  indexTopK: field('index_topk', SIZE, 2048),
  indexInterleaved: field('indexer_rope_interleave', only(interleaved), interleaved),
});

/** Its first numbers turn as `headDim` of attention do, and others are behind them. */
const indexHeadDim: Field<number, { readonly headDim: number }> = {
  read(json, { headDim }) {
    const found = json.value('index_head_dim', SIZE) ?? 128;
    if (found % 8 !== 0 || found <= headDim || found > MOST)
      json.problem(
        `index_head_dim must be a multiple of 8 above qk_rope_head_dim (${headDim}) and up to ${MOST}, found ${found}`,
      );
    return found;
  },
};

type Layers = { readonly numHiddenLayers: number };
type IndexerType = 'full' | 'shared';

/** For each layer, the one whose indexer chooses its keys: its own. */
export const ownIndexers: Field<readonly number[], Layers> = {
  read: (_, { numHiddenLayers }) => Array.from({ length: numHiddenLayers }, (_own, layer) => layer),
};

const TYPES = listOf(oneOf('full', 'shared'), '"full" and "shared"');

/**
 * The same, where layers may share what an earlier one chose: as `indexer_types` says, or a pattern of F and S, or
 * every so many from a layer on.
 */
export const sharedIndexers: Field<readonly number[], Layers> = {
  read(json, { numHiddenLayers: layers }) {
    const bySteps = typesBySteps(json, layers);
    const types = statedTypes(json) ?? bySteps;
    if (types.length !== layers)
      json.fail(`indexer_types must have one entry for each of the ${layers} layers, found ${types.length}`);
    if (types[0] === 'shared')
      json.fail('indexer_types must begin with "full": no layer before it has an indexer');
    let owner = 0;
    return types.map((type, layer) => {
      if (type === 'full') owner = layer;
      return owner;
    });
  },
};

/** Both keys are read, so that neither counts as unread; the list of types comes first. */
function statedTypes(json: ConfigReader): readonly IndexerType[] | undefined {
  const types = json.optional('indexer_types', TYPES);
  const pattern = json.raw('index_topk_pattern');
  if (types !== undefined || pattern === undefined || pattern === null) return types;
  if (Array.isArray(pattern)) return json.check('index_topk_pattern', pattern, TYPES);
  const letters = json.check('index_topk_pattern', pattern, text) ?? '';
  if (/^[FS]*$/.test(letters)) return [...letters].map((letter) => (letter === 'F' ? 'full' : 'shared'));
  return json.fail(`index_topk_pattern must be of the letters F and S, found ${JSON.stringify(letters)}`);
}

/** Every `index_topk_freq`-th layer has an indexer, and all before the layer `index_skip_topk_offset`. */
function typesBySteps(json: ConfigReader, layers: number): readonly IndexerType[] {
  const every = json.value('index_topk_freq', integer(0, 1000)) ?? 1;
  const offset = json.value('index_skip_topk_offset', integer(0, 1000)) ?? 2;
  return Array.from({ length: layers }, (_, layer) =>
    Math.max(layer - offset + 1, 0) % Math.max(every, 1) === 0 ? 'full' : 'shared',
  );
}
