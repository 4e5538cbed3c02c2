import {
  alibi,
  biases,
  type ConfigOf,
  decoder,
  defineConfig,
  type Field,
  field,
  fullAttention,
  LLAMA_DEFAULTS,
  required,
  rotaryOrAlibi,
  type UsesAlibi,
  WIDTH,
} from '../../layers/config/index.js';

/** Of 13B, as MindIE's router tells it. */
const ALIBI_LAYERS = 40;
/** Of the second generation, as MindIE's models tell it. */
const SECOND_VOCABULARY = 125_696;

type Layers = { readonly numHiddenLayers: number };

/** 7B says max_position_embeddings; 13B, which needs none, says model_max_length alone. */
const usesAlibi: Field<boolean, Layers> = {
  read: (json, { numHiddenLayers }) =>
    numHiddenLayers === ALIBI_LAYERS || json.isAbsent('max_position_embeddings'),
};

const alibiSlopes: Field<readonly number[] | undefined, UsesAlibi & { readonly numAttentionHeads: number }> =
  {
    read: (json, config) => (config.usesAlibi ? alibi.read(json, config) : undefined),
  };

const hasUnitHead: Field<boolean, { readonly vocabSize: number }> = {
  read: (_, { vocabSize }) => vocabSize === SECOND_VOCABULARY,
};

/** Defaults of the configurations that come with the checkpoints. */
export const BAICHUAN_CONFIG = defineConfig({
  fields: {
    ...decoder(LLAMA_DEFAULTS),
    maxPositionEmbeddings: field(['max_position_embeddings', 'model_max_length'], WIDTH, required),
    ...biases({ qkv: false, dense: false, mlp: false }),
    usesAlibi,
    rope: rotaryOrAlibi({ theta: 10_000 }),
    alibiSlopes,
    hasUnitHead,
    slidingWindows: fullAttention,
  },
  irrelevant: { z_loss_weight: 'is used in training alone' },
});
export type BaichuanConfig = ConfigOf<typeof BAICHUAN_CONFIG>;
