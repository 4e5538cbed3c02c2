import { type Check, integer, only, SIZE } from './checks.js';
import type { ConfigReader } from './config-reader.js';
import type { Field } from './fields.js';
import { layersOfType } from './layer-types.js';
import { markedLayers } from './marked-layers.js';

/** The object in which published files say what transformers 5 writes beside it. */
const SECTION = 'sparse_attention_config';
/** The cache's smallest blocks: those that are chosen are made of whole ones. */
const SLOTS = 32;
const BLOCKS = integer(0, 2 ** 15);

/** A number under the name of transformers 5, or under that of published files. */
function said(json: ConfigReader, name: string, older: string, check: Check<number>, fallback: number) {
  const own = json.value(name, check);
  const published = json.section(SECTION)?.value(older, check);
  if (own !== undefined && published !== undefined && own !== published)
    json.fail(`${name} (${own}) and ${SECTION}.${older} (${published}) contradict each other`);
  return own ?? published ?? fallback;
}

/** A number that must be what attention has under another name. */
function asAttention(json: ConfigReader, name: string, older: string, of: string, wanted: number): number {
  const found = said(json, name, older, SIZE, wanted);
  if (found !== wanted) json.problem(`${name} must be ${of} (${wanted}), found ${found}`);
  return found;
}

/** What published files say of all their indexers, of which one kind is built. */
function requireOneKind(json: ConfigReader): void {
  const section = json.section(SECTION);
  section?.optional('use_sparse_attention', only(true));
  section?.optional('sparse_score_type', only('max'));
  section?.optional('sparse_init_block', only(0));
}

type Layers = { readonly numHiddenLayers: number };

/** For each layer, whether an indexer chooses what it attends to. */
const blockLayers: Field<readonly boolean[], Layers> = {
  read(json, config) {
    const section = json.section(SECTION);
    const marked = section && markedLayers(section, 'sparse_attention_freq', config);
    const sparse = layersOfType(
      'minimax_m3_sparse',
      'full_attention',
      () => (layer) => marked?.[layer] ?? false,
    ).read(json, config);
    const plain = section && markedLayers(section, 'sparse_disable_index_value', config);
    const valued = sparse.findIndex((isSparse, layer) => isSparse && plain?.[layer] === false);
    if (valued >= 0)
      section?.problem(`sparse_disable_index_value must be 1 in layer ${valued}: indexers have no values`);
    requireOneKind(json);
    return sparse;
  },
};

/**
 * What chooses the blocks that heads of keys are read from, each for itself; defaults of transformers 5.24,
 * MiniMaxM3VLTextConfig.
 */
export const blockIndexer = {
  blockLayers,
  indexHeads: {
    read: (json, { numKeyValueHeads: heads }) =>
      asAttention(json, 'index_n_heads', 'sparse_num_index_heads', 'num_key_value_heads', heads),
  } satisfies Field<number, { readonly numKeyValueHeads: number }>,
  indexHeadDim: {
    read: (json, { headDim }) => asAttention(json, 'index_head_dim', 'sparse_index_dim', 'head_dim', headDim),
  } satisfies Field<number, { readonly headDim: number }>,
  indexBlockSize: {
    read(json) {
      const found = said(json, 'index_block_size', 'sparse_block_size', SIZE, 128);
      if (found % SLOTS !== 0)
        json.problem(`index_block_size must be a multiple of ${SLOTS}, found ${found}`);
      return found;
    },
  } satisfies Field<number>,
  indexTopBlocks: {
    read: (json) => said(json, 'index_topk_blocks', 'sparse_topk_blocks', integer(1, 2 ** 15), 16),
  } satisfies Field<number>,
  indexLocalBlocks: {
    read(json, { indexTopBlocks: most }) {
      const found = said(json, 'index_local_blocks', 'sparse_local_block', BLOCKS, 1);
      if (found > most)
        json.problem(`index_local_blocks (${found}) must be at most index_topk_blocks (${most})`);
      return found;
    },
  } satisfies Field<number, { readonly indexTopBlocks: number }>,
};
