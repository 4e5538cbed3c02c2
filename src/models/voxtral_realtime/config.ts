import {
  activation,
  defineConfig,
  type Field,
  field,
  flag,
  HEAD_SIZE,
  integer,
  nested,
  only,
  positive,
  required,
  text,
  WIDTH,
} from '../../layers/config/index.js';
import { soundRope } from '../base/audio/index.js';
import { aroundText, textWithin } from '../base/text-within.js';
import { besideText, dtypeBesideText, endsBesideText } from '../base/vision/index.js';

const COUNT = integer(1, 10_000);

/** What VoxtralRealtimeConfig of transformers 5.24 has for its text, which is Mistral's with another norm. */
const MINISTRAL_3B = {
  model_type: 'mistral',
  vocab_size: 131_072,
  hidden_size: 3072,
  intermediate_size: 9216,
  num_hidden_layers: 26,
  num_attention_heads: 32,
  num_key_value_heads: 8,
  head_dim: 128,
  max_position_embeddings: 131_072,
  rms_norm_eps: 1e-5,
  rope_theta: 1_000_000,
  sliding_window: 8192,
} as const;

/** Frames of a spectrogram of which a token comes: a row of the encoder comes of two. */
const framesOfToken: Field<number, { readonly rowsOfToken: number }> = {
  read(json, { rowsOfToken }) {
    const frames = json.value('audio_length_per_tok', COUNT) ?? 8;
    if (frames === 2 * rowsOfToken) return frames;
    return json.fail(
      `audio_length_per_tok must be twice downsample_factor (${rowsOfToken}), found ${frames}`,
    );
  },
};

/** Defaults of transformers 5.24, VoxtralRealtimeConfig and VoxtralRealtimeEncoderConfig. */
export const VOXTRAL_REALTIME_CONFIG = aroundText(
  defineConfig({
    fields: {
      text: textWithin('text_config', MINISTRAL_3B),
      modelType: field('model_type', text, required),
      dtype: dtypeBesideText,
      tieWordEmbeddings: besideText('tie_word_embeddings', flag, true),
      eosTokenIds: endsBesideText,
      projectorAct: field('projector_hidden_act', only('gelu'), 'gelu'),
      rowsOfToken: field('downsample_factor', COUNT, 4),
      framesOfToken,
      /** How many tokens what is written comes behind what is heard. */
      delayTokens: field('default_num_delay_tokens', COUNT, 6),
      audio: nested(
        'audio_config',
        {
          hiddenSize: field(['hidden_size', 'd_model'], WIDTH, 1280),
          intermediateSize: field(['intermediate_size', 'encoder_ffn_dim'], WIDTH, 5120),
          numLayers: field(['num_hidden_layers', 'encoder_layers'], COUNT, 32),
          numHeads: field(
            ['num_attention_heads', 'encoder_attention_heads', 'num_key_value_heads'],
            COUNT,
            32,
          ),
          headDim: field('head_dim', HEAD_SIZE, 64),
          melBins: field('num_mel_bins', COUNT, 128),
          hiddenAct: activation('hidden_act', 'silu'),
          rmsNormEps: field('rms_norm_eps', positive(1), 1e-5),
          maxPositions: field('max_position_embeddings', integer(1, 1_000_000), 1500),
          window: field('sliding_window', integer(1, 1_000_000), 750),
          rope: soundRope<{ readonly headDim: number; readonly maxPositions: number }>(
            1,
            ({ headDim }) => headDim,
          ),
        },
        // Nobody asks for the activation of Whisper's layers, which these are not.
        ['activation_function', 'activation_dropout', 'attention_dropout', 'vocab_size'],
      ),
      // Rows of sound are heard while words are written.
      addsRows: { read: () => true },
    },
    irrelevant: { hidden_size: 'repeats that of text_config' },
  }),
);
export type VoxtralRealtimeConfig = ReturnType<(typeof VOXTRAL_REALTIME_CONFIG)['read']>;
