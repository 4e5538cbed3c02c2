import {
  type ConfigOf,
  type ConfigReader,
  contextLength,
  defineConfig,
  type Field,
  field,
  integer,
  keysBecause,
  layersOfType,
  listOf,
  longestContext,
  ngramFields,
  oneOf,
  only,
  required,
  rotaryConfig,
  WIDTH,
} from '../../layers/config/index.js';
import { sparseFields } from '../qwen3_5_text/index.js';
import { hybridExperts } from '../qwen3_next/index.js';

const COUNT = integer(1, 1000);
const hiddenAct: Field<'silu'> = field('hidden_act', only('silu'), 'silu');
const outputGate: Field<'silu' | 'sigmoid'> = field('output_gate_type', oneOf('silu', 'sigmoid'), 'silu');

/** Layers of linear attention. Published files call the others `full_attention`; an indexer chooses their keys. */
const linearLayers = layersOfType('linear_attention', ['full_attention', 'indexed_attention'], (json) => {
  const interval = field('full_attention_interval', COUNT, 4).read(json, {});
  return (layer) => (layer + 1) % interval !== 0;
});

/** Numbers of the layers that have embeddings of n-grams, in order. Files count from 1. */
const ngramLayers: Field<readonly number[], { readonly linearLayers: readonly boolean[] }> = {
  read(json, config) {
    const found = json.value('ple_layer_ids', listOf(COUNT, 'numbers of layers, from 1')) ?? [];
    const layers = [...new Set(found)].sort((a, b) => a - b).map((layer) => layer - 1);
    const wrong = layers.find((layer) => !config.linearLayers[layer]);
    if (wrong !== undefined)
      json.problem(`ple_layer_ids: layer ${wrong + 1} is none of those with linear attention`);
    return layers;
  },
};

/** An indexer chooses as many keys as that, and the last block: up to there attention is to all keys. */
function chosenKeys(_: unknown, json: ConfigReader): number {
  const budget = field('indexer_budget', integer(1, 2 ** 24), required).read(json, {});
  const ratio = field('indexer_compress_ratio', COUNT, required).read(json, {});
  if (budget % ratio !== 0)
    json.problem(`indexer_budget (${budget}) must be a multiple of indexer_compress_ratio (${ratio})`);
  return budget + ratio - 1;
}

/** Defaults of transformers 5.24, Qwen4ExpTextConfig. */
export const QWEN4_EXP_FIELDS = {
  ...sparseFields,
  ...hybridExperts(512, 10),
  rope: rotaryConfig({ theta: 10_000, factor: 1 }),
  linearLayers,
  hiddenAct,
  outputGate,
  streams: field('hc_count', integer(2, 64), 4),
  streamRank: field('hc_lowrank', WIDTH, 320),
  ngramLayers,
  ...ngramFields,
  indexerKeyHeads: field('indexer_kv_heads', only(1), 1),
  maxPositionEmbeddings: contextLength('max_position_embeddings', 32_768),
  longestContext: longestContext(
    'as many keys as its indexer always chooses (indexer_budget): choices are not built',
    chosenKeys,
  ),
};

export const QWEN4_EXP_IRRELEVANT = {
  ...keysBecause(
    'is about an indexer that chooses among more keys than a context may have here',
    ...['indexer_n_heads', 'indexer_head_dim'],
  ),
  ...keysBecause(
    'is about layers that guess further tokens',
    ...['mtp', 'mtp_num_hidden_layers', 'mtp_use_dedicated_embeddings'],
  ),
  number_of_conv_states: 'follows from ple_layer_ids',
  mamba_ssm_dtype: 'states are f32 whatever it says',
};

export const QWEN4_EXP_CONFIG = defineConfig({ fields: QWEN4_EXP_FIELDS, irrelevant: QWEN4_EXP_IRRELEVANT });
export type Qwen4ExpConfig = ConfigOf<typeof QWEN4_EXP_CONFIG>;
