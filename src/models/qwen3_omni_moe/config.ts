import {
  type ConfigOf,
  defineConfig,
  experts,
  field,
  integer,
  keysBecause,
  nested,
  only,
  sparseBySteps,
  tokenField,
  within,
} from '../../layers/config/index.js';
import { withThinker } from '../base/thinker.js';
import { SPEECH_KEYS } from '../qwen2_5_omni/index.js';
import { stretchedAudio, UNREAD_STRETCHES } from '../qwen3_asr/index.js';
import { deepLayers, QWEN3_VL_FIELDS, QWEN3_VL_VISION, qwen3vlText } from '../qwen3_vl/index.js';

/** Keys of published files that say nothing that the class reads, or what others say. */
const UNREAD_TEXT = ['shared_expert_intermediate_size', 'use_sliding_window'];
const UNREAD_VISION = ['image_size', 'in_chans', 'spatial_patch_size', 'tokens_per_second'];

/** Defaults of transformers 5.24, Qwen3OmniMoeThinkerConfig. */
const THINKER = defineConfig({
  fields: {
    ...within(
      'text_config',
      {
        ...qwen3vlText({
          numKeyValueHeads: 4,
          headDim: 'hidden_size / num_attention_heads',
          ropeTheta: 1_000_000,
        }),
        ...experts({
          numExperts: 128,
          numExpertsPerToken: 8,
          moeIntermediateSize: 768,
          normTopkProb: true,
        }),
        sparseLayers: sparseBySteps,
        normsHeads: field('use_qk_norm', only(true), true),
      },
      UNREAD_TEXT,
    ),
    ...QWEN3_VL_FIELDS,
    audioTokenId: tokenField('audio_token_id', 151_646),
    tokensPerSecond: field('position_id_per_seconds', integer(1, 10_000), 25),
    vision: nested(
      'vision_config',
      {
        ...QWEN3_VL_VISION,
        deepLayers,
        hasPositions: field('apply_vit_abs_pos_embed', only(true), true),
      },
      UNREAD_VISION,
    ),
    audio: nested('audio_config', stretchedAudio(), UNREAD_STRETCHES),
  },
  irrelevant: {
    ...keysBecause(
      'stands in the chat template',
      'audio_start_token_id',
      'audio_end_token_id',
      'user_token_id',
      'assistant_token_id',
      'system_token_id',
      'im_start_token_id',
      'im_end_token_id',
    ),
    seconds_per_chunk: 'is about sound of videos, whose frames come without it',
    ...SPEECH_KEYS,
  },
});

export const QWEN3_OMNI_MOE_CONFIG = withThinker(THINKER);
export type Qwen3OmniMoeConfig = ConfigOf<typeof THINKER> & { readonly isThinker: boolean };
