import {
  alibi,
  biases,
  type ConfigOf,
  decoder,
  defineConfig,
  type Field,
  field,
  fullAttention,
  integer,
  type RotarySizes,
  required,
  rotaryConfig,
} from '../../layers/config/index.js';
import type { RopeConfig } from '../../step-inputs/index.js';

/** Of 13B, as MindIE's router tells it. */
const ALIBI_LAYERS = 40;
/** Of the second generation, as MindIE's models tell it. */
const SECOND_VOCABULARY = 125_696;

type Layers = { readonly numHiddenLayers: number };
type Positions = { readonly usesAlibi: boolean };

/** 7B says max_position_embeddings; 13B, which needs none, says model_max_length alone. */
const usesAlibi: Field<boolean, Layers> = {
  read: (json, { numHiddenLayers }) =>
    numHiddenLayers === ALIBI_LAYERS || json.isAbsent('max_position_embeddings'),
};

const rope: Field<RopeConfig | undefined, Positions & RotarySizes> = {
  read(json, config) {
    const said = rotaryConfig({ theta: 10_000 }).read(json, config);
    return config.usesAlibi ? undefined : said;
  },
};

const alibiSlopes: Field<readonly number[] | undefined, Positions & { readonly numAttentionHeads: number }> =
  {
    read: (json, config) => (config.usesAlibi ? alibi.read(json, config) : undefined),
  };

const hasUnitHead: Field<boolean, { readonly vocabSize: number }> = {
  read: (_, { vocabSize }) => vocabSize === SECOND_VOCABULARY,
};

/** Defaults of the configurations that come with the checkpoints. */
export const BAICHUAN_CONFIG = defineConfig({
  fields: {
    ...decoder({
      numKeyValueHeads: 'num_attention_heads',
      headDim: 'hidden_size / num_attention_heads',
      hiddenAct: 'silu',
      rmsNormEps: 1e-6,
      ropeTheta: 10_000,
      tieWordEmbeddings: false,
    }),
    maxPositionEmbeddings: field(
      ['max_position_embeddings', 'model_max_length'],
      integer(1, 2 ** 24),
      required,
    ),
    ...biases({ qkv: false, dense: false, mlp: false }),
    usesAlibi,
    rope,
    alibiSlopes,
    hasUnitHead,
    slidingWindows: fullAttention,
  },
  irrelevant: { z_loss_weight: 'is used in training alone' },
});
export type BaichuanConfig = ConfigOf<typeof BAICHUAN_CONFIG>;
