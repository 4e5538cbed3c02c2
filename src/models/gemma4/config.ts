import {
  activation,
  type ConfigOf,
  defineConfig,
  type Field,
  field,
  flag,
  integer,
  keysBecause,
  keyValueHeads,
  nested,
  positive,
  required,
  text,
  tokenField,
  WIDTH,
  within,
} from '../../layers/config/index.js';
import { axialThetaOr, besideText, dtypeBesideText, tokensBesideText } from '../base/vision/index.js';
import { GEMMA4_FIELDS } from '../gemma4_text/index.js';

const COUNT = integer(1, 10_000);

/** Half of a head turns by columns, the other by rows. */
const headDim: Field<number> = {
  read(json) {
    const found = json.value('head_dim', COUNT) ?? 64;
    return found % 4 === 0 ? found : json.fail(`head_dim must be a multiple of 4, found ${found}`);
  },
};

/** Defaults of transformers 5.24, Gemma4VisionConfig. */
const VISION_FIELDS = {
  hiddenSize: field('hidden_size', WIDTH, 768),
  intermediateSize: field('intermediate_size', WIDTH, 3072),
  numLayers: field('num_hidden_layers', COUNT, 16),
  numAttentionHeads: field('num_attention_heads', COUNT, 12),
  numKeyValueHeads: keyValueHeads(12),
  headDim,
  hiddenAct: activation('hidden_activation', 'gelu_tanh'),
  rmsNormEps: field('rms_norm_eps', positive(1), 1e-6),
  theta: axialThetaOr(100),
  poolSize: field('pooling_kernel_size', COUNT, 3),
  patchSize: field('patch_size', COUNT, 16),
  positionSize: field('position_embedding_size', WIDTH, 10_240),
  clips: field('use_clipped_linears', flag, false),
  standardizes: field('standardize', flag, false),
};

const VISION = nested('vision_config', VISION_FIELDS, [
  ...['attention_bias', 'max_position_embeddings', 'default_output_length', 'global_head_dim'],
]);
export type VisionConfig = ReturnType<(typeof VISION)['read']>;

/** What it is told of its encoder; undefined in files of models that read text alone. */
const visionOr: Field<VisionConfig | undefined> = {
  read: (json) => (json.section('vision_config') ? VISION.read(json, {}) : undefined),
};

/** Defaults of transformers 5.24, Gemma4Config. */
export const GEMMA4_WHOLE_CONFIG = defineConfig({
  fields: {
    ...within('text_config', GEMMA4_FIELDS, ['hidden_act']),
    modelType: field('model_type', text, required),
    dtype: dtypeBesideText,
    tieWordEmbeddings: besideText('tie_word_embeddings', flag, true),
    eosTokenIds: tokensBesideText('eos_token_id'),
    imageTokenId: tokenField('image_token_id', 258_880),
    videoTokenId: tokenField('video_token_id', 258_884),
    audioTokenId: tokenField('audio_token_id', 258_881),
    imageStartId: tokenField('boi_token_id', 255_999),
    imageEndId: tokenField('eoi_token_id', 258_882),
    vision: visionOr,
  },
  irrelevant: keysBecause(
    'is about sound, which is not built, or what the processor says',
    ...['audio_config', 'boa_token_id', 'eoa_token_id', 'eoa_token_index', 'vision_soft_tokens_per_image'],
  ),
});
export type Gemma4WholeConfig = ConfigOf<typeof GEMMA4_WHOLE_CONFIG>;
