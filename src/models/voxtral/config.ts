import {
  defineConfig,
  type Field,
  field,
  flag,
  nested,
  only,
  required,
  text,
  tokenField,
} from '../../layers/config/index.js';
import {
  type AudioSizes,
  audioFields,
  LARGE_WHISPER,
  sourcePositions,
  TRAINED_AUDIO,
} from '../base/audio/index.js';
import { aroundText, textWithin } from '../base/text-within.js';
import { besideText, dtypeBesideText } from '../base/vision/index.js';

/** What VoxtralConfig of transformers 5.24 has for its text. */
const MINISTRAL_3B = {
  model_type: 'llama',
  vocab_size: 131_072,
  hidden_size: 3072,
  intermediate_size: 8192,
  num_hidden_layers: 30,
  num_attention_heads: 32,
  num_key_value_heads: 8,
  max_position_embeddings: 131_072,
  rms_norm_eps: 1e-5,
  rope_theta: 1e8,
  head_dim: 128,
} as const;

/** As many rows of the encoder as are as wide as one of its MLPs: they become a token. */
const rowsOfToken: Field<number, { readonly audio: AudioSizes & { readonly maxPositions: number } }> = {
  read(json, { audio: { hiddenSize, intermediateSize, maxPositions } }) {
    const rows = intermediateSize / hiddenSize;
    if (Number.isInteger(rows) && maxPositions % rows === 0) return rows;
    return json.fail(
      `audio_config.intermediate_size must be a multiple of hidden_size (${hiddenSize}) that cuts ` +
        `max_source_positions (${maxPositions}) into whole tokens, found ${intermediateSize}`,
    );
  },
};

/** Defaults of transformers 5.24, VoxtralConfig and VoxtralEncoderConfig. */
export const VOXTRAL_CONFIG = aroundText(
  defineConfig({
    fields: {
      text: textWithin('text_config', MINISTRAL_3B),
      modelType: field('model_type', text, required),
      dtype: dtypeBesideText,
      tieWordEmbeddings: besideText('tie_word_embeddings', flag, false),
      audioTokenId: tokenField('audio_token_id', undefined),
      projectorAct: field('projector_hidden_act', only('gelu'), 'gelu'),
      audio: nested(
        'audio_config',
        { ...audioFields(LARGE_WHISPER, 'hidden_size'), maxPositions: sourcePositions },
        [
          ...TRAINED_AUDIO,
          // Of Whisper's decoder; the others follow.
          ...['vocab_size', 'head_dim', 'num_key_value_heads'],
        ],
      ),
      rowsOfToken,
    },
    irrelevant: { hidden_size: 'repeats that of text_config', vocab_size: 'repeats that of text_config' },
  }),
);
export type VoxtralConfig = ReturnType<(typeof VOXTRAL_CONFIG)['read']>;
