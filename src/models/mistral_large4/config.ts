import {
  type ConfigOf,
  constant,
  defineConfig,
  expertGroups,
  type Field,
  field,
  flag,
  indexer,
  keySources,
  keysBecause,
  listOf,
  only,
  positive,
  required,
  rotaryConfig,
  rotaryLayers,
  sharedIndexers,
  softcap,
  sparseByType,
  statedRope,
  text,
  within,
} from '../../layers/config/index.js';
import type { RopeConfig } from '../../step-inputs/index.js';
import { besideText, dtypeBesideText, tokensBesideText } from '../base/vision/index.js';
import { DEEPSEEK_IRRELEVANT, deepseek } from '../deepseek_v2/index.js';

type Sizes = { readonly headDim: number; readonly maxPositionEmbeddings: number };

/** Its frequencies have learned factors, for which they must be the same at any length. */
const rope: Field<RopeConfig, Sizes> = {
  read(json, sizes) {
    const read = rotaryConfig({ theta: 10_000, interleaved: true }).read(json, sizes);
    const { type } = read.scaling;
    if (type === 'dynamic' || type === 'longrope')
      json.problem(`rope_type must not depend on lengths, whose frequencies are learned here: found ${type}`);
    return read;
  },
};

/** Defaults of transformers 5.24, MistralLarge4TextConfig. */
const TEXT_FIELDS = {
  ...deepseek({
    qLoraRank: undefined,
    kvLoraRank: 512,
    qkNopeHeadDim: 64,
    qkRopeHeadDim: 64,
    vHeadDim: 128,
    experts: { numExperts: 128, numExpertsPerToken: 4, moeIntermediateSize: 6144, normTopkProb: 'always' },
    sharedExperts: 1,
    firstDenseLayers: 1,
    routedScalingFactor: 1,
    mlpBias: false,
  }),
  rmsNormEps: field('rms_norm_eps', positive(1), 1e-5),
  sparseLayers: sparseByType({ dense: 1 }),
  layerTypes: field('layer_types', listOf(only('indexed_attention'), '"indexed_attention"'), undefined),
  scoring: constant('softmax' as const),
  sumGuard: constant({ added: 1e-20 }),
  expertGroups: expertGroups({ count: 1, kept: 1, scored: 2 }),
  hasRope: statedRope('MistralLarge4TextConfig'),
  rope,
  rotaryLayers: rotaryLayers(),
  keySources,
  ...indexer({ heads: 32, interleaved: true }),
  indexOwners: sharedIndexers,
  logitSoftcap: softcap('final_logit_softcapping', 30),
};

/** Defaults of transformers 5.24, MistralLarge4Config. */
export const MISTRAL_LARGE4_CONFIG = defineConfig({
  fields: {
    ...within('text_config', TEXT_FIELDS, Object.keys(DEEPSEEK_IRRELEVANT)),
    modelType: field('model_type', text, required),
    dtype: dtypeBesideText,
    tieWordEmbeddings: besideText('tie_word_embeddings', flag, false),
    eosTokenIds: tokensBesideText('eos_token_id'),
  },
  irrelevant: {
    ...DEEPSEEK_IRRELEVANT,
    ...keysBecause(
      'is about what it sees, which is not built',
      ...['vision_config', 'image_token_index', 'image_token_id', 'projector_hidden_act'],
      ...['vision_feature_layer', 'multimodal_projector_bias', 'spatial_merge_size'],
    ),
  },
});
export type MistralLarge4Config = ConfigOf<typeof MISTRAL_LARGE4_CONFIG>;
