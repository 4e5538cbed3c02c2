import {
  activation,
  defineConfig,
  encoderHeads,
  field,
  flag,
  integer,
  nested,
  only,
  required,
  text,
  tokenField,
  WIDTH,
} from '../../layers/config/index.js';
import { aroundText, textWithin } from '../base/text-within.js';
import { besideText, dtypeBesideText } from '../base/vision/index.js';

const COUNT = integer(1, 10_000);

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
      audio: nested(
        'audio_config',
        {
          hiddenSize: field('d_model', WIDTH, 1280),
          numLayers: field('encoder_layers', COUNT, 32),
          numHeads: encoderHeads('encoder_attention_heads', 20, { width: 'd_model' }),
          intermediateSize: field('encoder_ffn_dim', WIDTH, 5120),
          melBins: field('num_mel_bins', COUNT, 128),
          maxPositions: field('max_source_positions', COUNT, 1500),
          hiddenAct: activation('activation_function', 'gelu'),
          scalesEmbedding: field('scale_embedding', only(false), false),
        },
        ['encoder_layerdrop'],
      ),
    },
    irrelevant: {
      ignore_index: 'is used in training alone',
      vocab_size: 'repeats that of text_config',
    },
  }),
);
export type Qwen2AudioConfig = ReturnType<(typeof QWEN2_AUDIO_CONFIG)['read']>;
