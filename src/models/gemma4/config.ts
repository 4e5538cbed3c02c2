import {
  activation,
  type ConfigOf,
  defineConfig,
  encoderHeads,
  type Field,
  field,
  flag,
  integer,
  keyValueHeads,
  listOf,
  nested,
  only,
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

/** Of each of two convolutions; the first has as many as there are bins, of which the class counts on. */
const channels: Field<readonly [number, number]> = {
  read(json) {
    const pair = json.value('subsampling_conv_channels', listOf(COUNT, 'two sizes')) ?? [128, 32];
    const [first = 0, second = 0, ...others] = pair;
    if (second > 0 && first % 4 === 0 && others.length === 0) return [first, second];
    return json.fail(`subsampling_conv_channels must be a multiple of 4 and another size, found ${pair}`);
  },
};

/**
 * How many rows each sees, itself included. The class numbers distances by half of what a chunk sees, which are distances where
 * rows look back as far as a chunk.
 */
const span: Field<number> = {
  read(json) {
    const left = json.value('attention_context_left', COUNT) ?? 13;
    const chunk = json.value('attention_chunk_size', COUNT) ?? 12;
    if (left > 1 && (left === chunk || left === chunk + 1)) return left - 1;
    return json.fail(
      `attention_context_left must be attention_chunk_size (${chunk}) or one more, and at least 2, found ${left}`,
    );
  },
};

/** Defaults of transformers 5.24, Gemma4AudioConfig. */
const AUDIO_FIELDS = {
  hiddenSize: field('hidden_size', WIDTH, 1024),
  numLayers: field('num_hidden_layers', COUNT, 12),
  numHeads: encoderHeads('num_attention_heads', 8),
  hiddenAct: activation('hidden_act', 'silu'),
  channels,
  taps: field('conv_kernel_size', integer(2, 1000), 5),
  share: field('residual_weight', positive(1000), 0.5),
  span,
  right: field('attention_context_right', only(0), 0),
  softcap: field('attention_logit_cap', positive(1e6), 50),
  clips: field('use_clipped_linears', flag, true),
  rmsNormEps: field('rms_norm_eps', positive(1), 1e-6),
  // No number of a model that works is cut there.
  bound: field('gradient_clipping', positive(1e38, 1e9), 1e10),
  outSize: field('output_proj_dims', WIDTH, 1536),
};

const AUDIO = nested('audio_config', AUDIO_FIELDS, [
  // Of places that rows do not see, which are left out here.
  'attention_invalid_logits_value',
]);
export type AudioConfig = ReturnType<(typeof AUDIO)['read']>;

/** What it is told of what hears; undefined where files have none, or speak of text alone. */
const audioOr: Field<AudioConfig | undefined> = {
  read: (json) =>
    json.section('audio_config') && json.section('vision_config') ? AUDIO.read(json, {}) : undefined,
};

/** What stands beside the text, in the words of transformers 5.24, Gemma4Config and Gemma4UnifiedConfig. */
export const GEMMA4_BESIDE_TEXT = {
  modelType: field('model_type', text, required),
  dtype: dtypeBesideText,
  tieWordEmbeddings: besideText('tie_word_embeddings', flag, true),
  eosTokenIds: tokensBesideText('eos_token_id'),
  imageTokenId: tokenField('image_token_id', 258_880),
  videoTokenId: tokenField('video_token_id', 258_884),
  audioTokenId: tokenField('audio_token_id', 258_881),
  imageStartId: tokenField('boi_token_id', 255_999),
  imageEndId: tokenField('eoi_token_id', 258_882),
  audioStartId: tokenField('boa_token_id', 256_000),
  audioEndId: tokenField('eoa_token_index', 258_883),
};

export const GEMMA4_WHOLE_IRRELEVANT = {
  vision_soft_tokens_per_image: 'is what the processor says',
  eoa_token_id: 'stands beside eoa_token_index, which the class reads',
};

/** Defaults of transformers 5.24, Gemma4Config. */
export const GEMMA4_WHOLE_CONFIG = defineConfig({
  fields: {
    ...within('text_config', GEMMA4_FIELDS, ['hidden_act']),
    ...GEMMA4_BESIDE_TEXT,
    vision: visionOr,
    audio: audioOr,
  },
  irrelevant: GEMMA4_WHOLE_IRRELEVANT,
});
export type Gemma4WholeConfig = ConfigOf<typeof GEMMA4_WHOLE_CONFIG>;
