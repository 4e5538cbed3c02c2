import {
  type ConfigOf,
  defineConfig,
  field,
  integer,
  keysBecause,
  nested,
  positive,
  slidingByLayer,
  tokenField,
  WIDTH,
  within,
} from '../../layers/config/index.js';
import { audioFields } from '../base/audio/index.js';
import { withThinker } from '../base/thinker.js';
import { TOKENS_OF_TEMPLATES, textFields } from '../base/vision/index.js';
import { windowedVision } from '../qwen2_5_vl/index.js';

const COUNT = integer(1, 10_000);

/** What is said of the part that speaks. */
export const SPEECH_KEYS = keysBecause(
  'is about speaking, which is not built: answers are text',
  'talker_config',
  'token2wav_config',
  'code2wav_config',
  'enable_audio_output',
  'enable_talker',
);

/** Defaults of transformers 5.24, Qwen2_5OmniThinkerConfig. */
const THINKER = defineConfig({
  fields: {
    ...textFields(1_000_000),
    ...within('text_config', {
      rmsNormEps: field('rms_norm_eps', positive(1), 1e-6),
      slidingWindows: slidingByLayer<{ readonly numHiddenLayers: number }>({
        useSlidingWindow: false,
        window: 32_768,
        maxWindowLayers: 28,
      }),
    }),
    imageTokenId: tokenField(['image_token_index', 'image_token_id'], 151_655),
    videoTokenId: tokenField(['video_token_index', 'video_token_id'], 151_656),
    audioTokenId: tokenField(['audio_token_index', 'audio_token_id'], 151_646),
    tokensPerSecond: field('position_id_per_seconds', COUNT, 25),
    vision: nested('vision_config', windowedVision, ['spatial_patch_size', 'tokens_per_second']),
    audio: nested(
      'audio_config',
      {
        ...audioFields(),
        outSize: field('output_dim', WIDTH, 3584),
        /** Of frames that are convolved together, and of rows that see each other. */
        window: field('n_window', COUNT, 100),
      },
      // Of a table that is made, of which a window has the first rows.
      ['max_source_positions', 'encoder_layerdrop'],
    ),
  },
  irrelevant: {
    ...TOKENS_OF_TEMPLATES,
    ...keysBecause(
      'stands in the chat template',
      'audio_start_token_id',
      'audio_end_token_id',
      'user_token_id',
    ),
    seconds_per_chunk: 'is about sound of videos, whose frames come without it',
    ignore_index: 'is used in training alone',
    ...SPEECH_KEYS,
  },
});

export const QWEN2_5_OMNI_CONFIG = withThinker(THINKER);
export type Qwen25OmniConfig = ConfigOf<typeof THINKER> & { readonly isThinker: boolean };
