import { defineConfig, field, flag, nested, required, text, tokenField } from '../../layers/config/index.js';
import { audioFields, sourcePositions, TRAINED_AUDIO } from '../base/audio/index.js';
import { aroundText, textWithin } from '../base/text-within.js';
import { besideText, dtypeBesideText } from '../base/vision/index.js';

/** Of Qwen2Config in transformers 5.24, from which published files differ. */
const QWEN2_7B = {
  model_type: 'qwen2',
  hidden_size: 4096,
  num_hidden_layers: 32,
  num_attention_heads: 32,
  intermediate_size: 22_016,
  vocab_size: 151_936,
  max_position_embeddings: 32_768,
} as const;

/** Defaults of transformers 5.24, Qwen2AudioConfig. */
export const QWEN2_AUDIO_CONFIG = aroundText(
  defineConfig({
    fields: {
      text: textWithin('text_config', QWEN2_7B),
      modelType: field('model_type', text, required),
      dtype: dtypeBesideText,
      tieWordEmbeddings: besideText('tie_word_embeddings', flag, false),
      audioTokenId: tokenField(['audio_token_index', 'audio_token_id'], 151_646),
      audio: nested('audio_config', { ...audioFields(), maxPositions: sourcePositions }, TRAINED_AUDIO),
    },
    irrelevant: {
      ignore_index: 'is used in training alone',
      vocab_size: 'repeats that of text_config',
    },
  }),
);
export type Qwen2AudioConfig = ReturnType<(typeof QWEN2_AUDIO_CONFIG)['read']>;
