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
import { audioFields, QWEN3_0_6B, sourcePositions } from '../base/audio/index.js';
import { aroundText, textWithin } from '../base/text-within.js';
import { besideText, dtypeBesideText } from '../base/vision/index.js';

/** What MossTranscribeDiarizeConfig of transformers 5.24 has for its text. */
const TEXT = {
  ...QWEN3_0_6B,
  max_position_embeddings: 131_072,
  rope_parameters: { rope_theta: 1_000_000, rope_type: 'default' },
} as const;

const MEDIUM_WHISPER = { width: 1024, layers: 24, heads: 16, inner: 4096 };

/** Rows side by side that become a token. */
const rowsOfToken: Field<number, { readonly audio: { readonly maxPositions: number } }> = {
  read(json, { audio: { maxPositions } }) {
    const rows = json.value('audio_merge_size', integer(1, 10_000)) ?? 4;
    if (maxPositions % rows === 0) return rows;
    return json.fail(`audio_merge_size must divide max_source_positions (${maxPositions}), found ${rows}`);
  },
};

/** Defaults of transformers 5.24, MossTranscribeDiarizeConfig and MossTranscribeDiarizeAudioConfig. */
export const MOSS_CONFIG = aroundText(
  defineConfig({
    fields: {
      text: textWithin('text_config', TEXT),
      modelType: field('model_type', text, required),
      dtype: dtypeBesideText,
      tieWordEmbeddings: besideText('tie_word_embeddings', flag, true),
      audioTokenId: tokenField('audio_token_id', 151_671),
      projectorAct: activation('projector_hidden_act', 'silu'),
      projectorBias: field('projector_bias', flag, true),
      audio: nested('audio_config', {
        ...audioFields(MEDIUM_WHISPER, 'hidden_size'),
        melBins: field('num_mel_bins', integer(1, 10_000), 80),
        maxPositions: sourcePositions,
      }),
      rowsOfToken,
    },
    irrelevant: { audio_chunk_size: 'is as long as the encoder has positions for' },
  }),
);
export type MossConfig = ReturnType<(typeof MOSS_CONFIG)['read']>;
