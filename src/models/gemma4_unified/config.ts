import {
  type ConfigOf,
  type ConfigReader,
  defineConfig,
  type Field,
  field,
  integer,
  nested,
  only,
  positive,
  WIDTH,
  within,
} from '../../layers/config/index.js';
import { GEMMA4_BESIDE_TEXT, GEMMA4_WHOLE_IRRELEVANT } from '../gemma4/index.js';
import { GEMMA4_FIELDS, gemma4Windows } from '../gemma4_text/index.js';

const COUNT = integer(1, 10_000);

/** Where a file says null, tokens of a picture do not see each other. */
const bidirectional: Field<'vision' | undefined> = {
  read: (json) =>
    json.value('use_bidirectional_attention', only('vision')) ??
    (json.raw('use_bidirectional_attention') === null ? undefined : 'vision'),
};

/**
 * Defaults of transformers 5.24, Gemma4UnifiedTextConfig: Gemma 4's without vectors of layers and without experts, of which
 * published files say so.
 */
const TEXT_FIELDS = {
  ...GEMMA4_FIELDS,
  slidingWindows: gemma4Windows(1024),
  bidirectional,
  perLayerSize: field('hidden_size_per_layer_input', only(0), 0),
  hasExperts: field('enable_moe_block', only(false), false),
};

/** A size that follows from others: what files say of it must agree. */
const follows = <N>(name: string, sizeOf: (config: N) => number, why: string): Field<number, N> => ({
  read(json: ConfigReader, config: N) {
    const size = sizeOf(config);
    const found = json.value(name, WIDTH) ?? size;
    return found === size ? size : json.fail(`${name} must be ${size}, ${why}, found ${found}`);
  },
});

/** Defaults of transformers 5.24, Gemma4UnifiedVisionConfig. */
const VISION_FIELDS = {
  patchSize: field('patch_size', COUNT, 16),
  poolSize: field('pooling_kernel_size', COUNT, 3),
  hiddenSize: field('mm_embed_dim', WIDTH, 3840),
  positionSize: field('mm_posemb_size', WIDTH, 1120),
  rmsNormEps: field('rms_norm_eps', positive(1), 1e-6),
  outSize: follows<{ readonly hiddenSize: number }>(
    'output_proj_dims',
    ({ hiddenSize }) => hiddenSize,
    'as mm_embed_dim says',
  ),
  side: follows<{ readonly patchSize: number; readonly poolSize: number }>(
    'model_patch_size',
    ({ patchSize, poolSize }) => patchSize * poolSize,
    'patch_size times pooling_kernel_size',
  ),
};
const VISION = nested('vision_config', VISION_FIELDS, ['num_soft_tokens']);
export type UnifiedVisionConfig = ReturnType<(typeof VISION)['read']>;

/** Defaults of transformers 5.24, Gemma4UnifiedAudioConfig, which has four names for one number. */
const AUDIO = nested('audio_config', {
  samples: field(
    ['audio_embed_dim', 'audio_samples_per_token', 'hidden_size', 'output_proj_dims'],
    WIDTH,
    640,
  ),
  rmsNormEps: field('rms_norm_eps', positive(1), 1e-6),
});
export type UnifiedAudioConfig = ReturnType<(typeof AUDIO)['read']>;

/** What it is told of what it hears; undefined where files do not speak of it. */
const audioOr: Field<UnifiedAudioConfig | undefined> = {
  read: (json) => (json.section('audio_config') ? AUDIO.read(json, {}) : undefined),
};

/** Defaults of transformers 5.24, Gemma4UnifiedConfig, whose published files all see. */
export const GEMMA4_UNIFIED_CONFIG = defineConfig({
  fields: {
    ...within('text_config', TEXT_FIELDS, ['hidden_act']),
    ...GEMMA4_BESIDE_TEXT,
    vision: VISION,
    audio: audioOr,
  },
  irrelevant: GEMMA4_WHOLE_IRRELEVANT,
});
export type Gemma4UnifiedConfig = ConfigOf<typeof GEMMA4_UNIFIED_CONFIG>;
