import { isObject } from '../../is-object.js';
import {
  type ConfigDict,
  defineConfig,
  type Field,
  field,
  flag,
  integer,
  keysBecause,
  nested,
  required,
  text,
  tokenField,
  WIDTH,
} from '../../layers/config/index.js';
import { planesOf } from '../../step-inputs/index.js';
import { audioFields } from '../base/audio/index.js';
import { aroundText, type TextWithin, textWithin } from '../base/text-within.js';
import { withThinker } from '../base/thinker.js';
import { besideText, dtypeBesideText, endsBesideText } from '../base/vision/index.js';

const FRAMES = integer(1, 100_000);

/** Rows of a stretch: the class counts with this number, whatever its length. */
const STRETCH_ROWS = 13;

/** Frames of a stretch that convolutions see by itself: twice what `n_window` says. */
const stretchFrames: Field<number> = {
  read(json) {
    const frames = 2 * (json.value('n_window', FRAMES) ?? 50);
    const [, , , { wide }] = planesOf({ high: 1, wide: frames });
    if (wide === STRETCH_ROWS) return frames;
    return json.fail(
      `n_window must be from 49 to 52, of which ${STRETCH_ROWS} rows come, found ${frames / 2}`,
    );
  },
};

/** How many stretches see each other. */
const stretchesOfWindow: Field<number, { readonly stretchFrames: number }> = {
  read(json, { stretchFrames: frames }) {
    const window = json.value('n_window_infer', FRAMES) ?? 800;
    if (window >= frames) return Math.floor(window / frames);
    return json.fail(`n_window_infer must be at least twice n_window (${frames}), found ${window}`);
  },
};

/**
 * What an encoder is told that convolves stretches and looks through windows of them: Qwen3OmniMoeAudioEncoderConfig of
 * transformers 5.24, whose defaults hold where `sizes` is absent.
 */
export const stretchedAudio = (sizes?: Parameters<typeof audioFields>[0]) => ({
  ...audioFields(sizes),
  channels: field('downsample_hidden_size', WIDTH, 480),
  outSize: field('output_dim', WIDTH, 3584),
  stretchFrames,
  stretchesOfWindow,
});

/**
 * Keys of it that nobody needs: rows of a table that is made, of which a stretch has the first; how many stretches the
 * published code convolves at once.
 */
export const UNREAD_STRETCHES = ['max_position_embeddings', 'max_source_positions', 'conv_chunksize'];

/**
 * What a definition reads without the shares of frequencies that published files give to three axes of positions:
 * sound and words have the same position on all of them.
 */
const withoutAxes = <C>(definition: { read(dict: ConfigDict): C }) => ({
  read(dict: ConfigDict): C {
    const { text_config: within } = dict;
    const scaling = isObject(within) ? within.rope_scaling : undefined;
    if (!isObject(within) || !isObject(scaling)) return definition.read(dict);
    const { mrope_section: _, mrope_interleaved: __, interleaved: ___, ...rope_scaling } = scaling;
    return definition.read({ ...dict, text_config: { ...within, rope_scaling } });
  },
});

/** What Qwen3ASRConfig of transformers 5.24 has for its text. */
const QWEN3_1_7B = {
  model_type: 'qwen3',
  vocab_size: 151_936,
  hidden_size: 2048,
  intermediate_size: 6144,
  num_hidden_layers: 28,
  num_attention_heads: 16,
  num_key_value_heads: 8,
  head_dim: 128,
  max_position_embeddings: 65_536,
} as const;

/** Defaults of transformers 5.24, Qwen3ASRConfig and Qwen3ASREncoderConfig. */
export const QWEN3_ASR_CONFIG = withThinker(
  withoutAxes(
    aroundText(
      defineConfig({
        fields: {
          text: textWithin('text_config', QWEN3_1_7B),
          modelType: field('model_type', text, required),
          dtype: dtypeBesideText,
          tieWordEmbeddings: besideText('tie_word_embeddings', flag, true),
          eosTokenIds: endsBesideText,
          audioTokenId: tokenField('audio_token_id', 151_676),
          audio: nested(
            'audio_config',
            stretchedAudio({ width: 1024, layers: 24, heads: 16, inner: 4096 }),
            UNREAD_STRETCHES,
          ),
        },
        irrelevant: {
          ...keysBecause(
            'stands in the chat template',
            'audio_start_token_id',
            'audio_end_token_id',
            'user_token_id',
          ),
          ...keysBecause('is about aligning words', 'timestamp_token_id', 'token_classification_bias'),
          pad_token_id: 'fills up texts of a batch, which are packed here',
          support_languages: 'is for those who ask',
        },
      }),
    ),
  ),
);
export type Qwen3AsrConfig = ReturnType<(typeof QWEN3_ASR_CONFIG)['read']>;
