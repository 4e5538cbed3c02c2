import type { ConfigReader } from '../../layers/config/config-reader.js';
import {
  type ConfigOf,
  defineConfig,
  encoderHeads,
  type Field,
  field,
  flag,
  integer,
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
import { besideText, dtypeBesideText, tokensBesideText } from '../base/vision/index.js';
import { GEMMA3N_FIELDS, GEMMA3N_IRRELEVANT } from '../gemma3n_text/index.js';
import { type Gemma3nVisionConfig, gemma3nVision } from './vision-config.js';

const COUNT = integer(1, 10_000);
const ID = integer(0, 2 ** 24);

/** Of each of two convolutions. */
const channels: Field<readonly [number, number]> = {
  read(json) {
    const pair = json.value('sscp_conv_channel_size', listOf(COUNT, 'two sizes')) ?? [128, 32];
    const [first = 0, second = 0, ...others] = pair;
    if (second > 0 && others.length === 0) return [first, second];
    return json.fail(`sscp_conv_channel_size must be two sizes, found ${pair}`);
  },
};

/** Two convolutions that have as many of something along each side: nothing else is built. */
const sides = (name: string, side: number): Field<number> => ({
  read(json) {
    const pairs = json.value(name, listOf(listOf(COUNT, 'sizes'), 'pairs of sizes'));
    const isBuilt = !pairs || (pairs.length === 2 && pairs.every((pair) => pair.length === 2));
    if (isBuilt && !pairs?.flat().some((found) => found !== side)) return side;
    return json.fail(
      `${name} must be [[${side}, ${side}], [${side}, ${side}]]: nothing else is supported by this family`,
    );
  },
});

/** Defaults of transformers 5.24, Gemma3nAudioConfig. */
const AUDIO = nested(
  'audio_config',
  {
    hiddenSize: field('hidden_size', WIDTH, 1536),
    vocabSize: field('vocab_size', WIDTH, 128),
    firstToken: field('vocab_offset', integer(0, 2 ** 24), 262_272),
    melBins: field('input_feat_size', COUNT, 128),
    rmsNormEps: field('rms_norm_eps', positive(1), 1e-6),
    // No number of a model that works is cut there.
    bound: field('gradient_clipping', positive(1e38, 1e9), 1e10),
    span: field('conf_attention_context_left', COUNT, 13),
    right: field('conf_attention_context_right', only(0), 0),
    softcap: field('conf_attention_logit_cap', positive(1e6), 50),
    numHeads: encoderHeads('conf_num_attention_heads', 8),
    numLayers: field('conf_num_hidden_layers', COUNT, 12),
    taps: field('conf_conv_kernel_size', integer(2, 1000), 5),
    every: field('conf_reduction_factor', COUNT, 4),
    share: field('conf_residual_weight', positive(1000), 0.5),
    channels,
    groupEps: field('sscp_conv_group_norm_eps', positive(1), 1e-3),
    kernels: sides('sscp_conv_kernel_size', 3),
    strides: sides('sscp_conv_stride_size', 2),
  },
  // A row sees as far back whatever is computed at once.
  ['conf_attention_chunk_size'],
);
export type Gemma3nAudioConfig = ReturnType<(typeof AUDIO)['read']>;

/** What it is told of what hears; undefined in files that have none. */
const audioOr: Field<Gemma3nAudioConfig | undefined> = {
  read: (json) => (json.section('audio_config') ? AUDIO.read(json, {}) : undefined),
};

/** What an encoder's words are: ids from the first on. */
interface OwnWords {
  readonly firstToken: number;
  readonly vocabSize: number;
}

/** Refuses ids that are no words of an encoder. */
function requireWords(
  json: ConfigReader,
  section: string,
  { firstToken, vocabSize }: OwnWords,
  ids: Readonly<Record<string, number>>,
): void {
  const end = firstToken + vocabSize;
  for (const [what, id] of Object.entries(ids))
    if (id < firstToken || id >= end)
      json.problem(`${what} must be one of ${section}, from ${firstToken} to ${end - 1}, found ${id}`);
}

/** The token behind a sound, which has a row among the encoder's own words, as the last of all tokens has. */
const audioEndId: Field<
  number,
  { readonly audio: Gemma3nAudioConfig | undefined; readonly vocabSize: number }
> = {
  read(json, { audio, vocabSize }) {
    const found = json.value('eoa_token_id', ID) ?? 262_272;
    const last = { eoa_token_id: found, 'the last id of vocab_size': vocabSize - 1 };
    if (audio) requireWords(json, 'audio_config', audio, last);
    return found;
  },
};

/** The token behind a picture, which has a row among the encoder's own words. */
const imageEndId: Field<number, { readonly vision: Gemma3nVisionConfig | undefined }> = {
  read(json, { vision }) {
    const found = json.value('eoi_token_id', ID) ?? 262_144;
    if (vision) requireWords(json, 'vision_config', vision, { eoi_token_id: found });
    return found;
  },
};

/** Tokens of a picture, as many as the encoder makes. */
const imageTokens: Field<number, { readonly vision: Gemma3nVisionConfig | undefined }> = {
  read(json, { vision }) {
    const name = 'vision_soft_tokens_per_image';
    const found = json.value(name, COUNT) ?? 256;
    const made = vision ? vision.outSide ** 2 : found;
    if (made !== found)
      json.problem(`${name} must be ${made}, the square of what the encoder gives, found ${found}`);
    return found;
  },
};

/** Defaults of transformers 5.24, Gemma3nConfig. */
export const GEMMA3N_WHOLE_CONFIG = defineConfig({
  fields: {
    ...within('text_config', GEMMA3N_FIELDS, Object.keys(GEMMA3N_IRRELEVANT)),
    modelType: field('model_type', text, required),
    dtype: dtypeBesideText,
    tieWordEmbeddings: besideText('tie_word_embeddings', flag, true),
    eosTokenIds: tokensBesideText('eos_token_id'),
    audioTokenId: tokenField('audio_token_id', 262_273),
    audioStartId: tokenField('boa_token_id', 256_000),
    audio: audioOr,
    audioEndId,
    imageTokenId: tokenField('image_token_id', 262_145),
    imageStartId: tokenField('boi_token_id', 255_999),
    vision: gemma3nVision,
    imageEndId,
    imageTokens,
    soundTokens: field('audio_soft_tokens_per_image', COUNT, 188),
  },
  irrelevant: GEMMA3N_IRRELEVANT,
});
export type Gemma3nWholeConfig = ConfigOf<typeof GEMMA3N_WHOLE_CONFIG>;
