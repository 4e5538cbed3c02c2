import {
  activation,
  defineConfig,
  type Field,
  field,
  flag,
  integer,
  nested,
  required,
  text,
  tokenField,
} from '../../layers/config/index.js';
import { type AudioSizes, audioFields, LARGE_WHISPER, soundRope } from '../base/audio/index.js';
import { aroundText, textWithin } from '../base/text-within.js';
import { besideText, dtypeBesideText } from '../base/vision/index.js';

/** What GlmAsrConfig of transformers 5.24 has for its text. */
const GLM_ASR_NANO = {
  model_type: 'llama',
  vocab_size: 59_264,
  hidden_size: 2048,
  intermediate_size: 6144,
  num_hidden_layers: 28,
  num_attention_heads: 16,
  num_key_value_heads: 4,
  max_position_embeddings: 8192,
  rms_norm_eps: 1e-5,
  rope_theta: 10_000,
} as const;

/** Rows side by side that become a token: the class counts tokens so, whatever files say. */
export const ROWS_OF_TOKEN = 4;

/** Heads of keys: as many as of queries where files leave that open. */
const keyHeads: Field<number, AudioSizes> = {
  read(json, { numHeads }) {
    const found = json.value('num_key_value_heads', integer(1, 10_000)) ?? numHeads;
    if (numHeads % found === 0) return found;
    return json.fail(`num_key_value_heads must divide num_attention_heads (${numHeads}), found ${found}`);
  },
};

/** Rows of a stretch of sound, of which whole tokens come. */
const stretchRows: Field<number, AudioSizes> = {
  read(json, { hiddenSize, intermediateSize }) {
    if (intermediateSize !== ROWS_OF_TOKEN * hiddenSize)
      json.fail(
        `intermediate_size must be ${ROWS_OF_TOKEN} * hidden_size (${hiddenSize}), found ${intermediateSize}`,
      );
    const rows = json.value('max_position_embeddings', integer(1, 1_000_000)) ?? 1500;
    if (rows % ROWS_OF_TOKEN === 0) return rows;
    return json.fail(`max_position_embeddings must be a multiple of ${ROWS_OF_TOKEN}, found ${rows}`);
  },
};

/** Defaults of transformers 5.24, GlmAsrConfig and GlmAsrEncoderConfig. */
export const GLM_ASR_CONFIG = aroundText(
  defineConfig({
    fields: {
      text: textWithin('text_config', GLM_ASR_NANO),
      modelType: field('model_type', text, required),
      dtype: dtypeBesideText,
      tieWordEmbeddings: besideText('tie_word_embeddings', flag, true),
      audioTokenId: tokenField('audio_token_id', 59_260),
      projectorAct: activation('projector_hidden_act', 'gelu'),
      audio: nested('audio_config', {
        ...audioFields(LARGE_WHISPER, 'hidden_size'),
        hiddenAct: activation('hidden_act', 'gelu'),
        maxPositions: stretchRows,
        numKeyValueHeads: keyHeads,
        // In their first half.
        rope: soundRope<AudioSizes & { readonly maxPositions: number }>(
          0.5,
          ({ hiddenSize, numHeads }) => hiddenSize / numHeads,
        ),
      }),
    },
    irrelevant: { hidden_size: 'repeats that of text_config', vocab_size: 'repeats that of text_config' },
  }),
);
export type GlmAsrConfig = ReturnType<(typeof GLM_ASR_CONFIG)['read']>;
