import {
  activation,
  defineConfig,
  encoderHeads,
  type Field,
  field,
  flag,
  integer,
  listOf,
  nested,
  positive,
  required,
  text,
  tokenField,
  WIDTH,
} from '../../layers/config/index.js';
import { TRAINED_AUDIO } from '../base/audio/index.js';
import { aroundText, textWithin } from '../base/text-within.js';
import { besideText, dtypeBesideText, endsBesideText } from '../base/vision/index.js';

const COUNT = integer(1, 10_000);
const COUNTS = listOf(COUNT, 'whole numbers');

/** What OmniASRConfig of transformers 5.24 has for its text. */
const TEXT = {
  model_type: 'llama',
  vocab_size: 11_984,
  hidden_size: 4096,
  intermediate_size: 2816,
  max_position_embeddings: 8192,
  num_hidden_layers: 12,
  num_attention_heads: 8,
  num_key_value_heads: 8,
  rms_norm_eps: 1e-5,
} as const;

/** A number of each convolution, as many as there are widths of their results. */
const ofConvolutions = (
  name: string,
  fallback: readonly number[],
): Field<readonly number[], { readonly widths: readonly number[] }> => ({
  read(json, { widths }) {
    const found = json.value(name, COUNTS) ?? fallback;
    if (found.length === widths.length) return found;
    return json.fail(
      `${name} must have as many numbers as conv_dim (${widths.length}), found ${found.length}`,
    );
  },
});

/** Channels of the convolution by which rows know their places are cut into so many groups. */
const groups: Field<number, { readonly hiddenSize: number }> = {
  read(json, { hiddenSize }) {
    const name = 'num_conv_pos_embedding_groups';
    const found = json.value(name, COUNT) ?? 16;
    if (hiddenSize % found === 0) return found;
    return json.fail(`${name} must divide hidden_size (${hiddenSize}), found ${found}`);
  },
};

/** Rows that it sees, an even number: the class leaves out one result. */
const places: Field<number> = {
  read(json) {
    const name = 'num_conv_pos_embeddings';
    const found = json.value(name, COUNT) ?? 128;
    return found % 2 === 0 ? found : json.fail(`${name} must be even, found ${found}`);
  },
};

/** Defaults of transformers 5.24, OmniASRConfig and OmniASRAudioConfig. */
export const OMNIASR_CONFIG = aroundText(
  defineConfig({
    fields: {
      text: textWithin('text_config', TEXT),
      modelType: field('model_type', text, required),
      dtype: dtypeBesideText,
      tieWordEmbeddings: besideText('tie_word_embeddings', flag, false),
      bosTokenId: tokenField('bos_token_id', 0),
      eosTokenIds: endsBesideText,
      audioTokenId: tokenField('audio_token_id', 10_289),
      audio: nested(
        'audio_config',
        {
          hiddenSize: field('hidden_size', WIDTH, 1024),
          intermediateSize: field('intermediate_size', WIDTH, 4096),
          numLayers: field('num_hidden_layers', COUNT, 24),
          numHeads: encoderHeads('num_attention_heads', 16),
          hiddenAct: activation('hidden_act', 'gelu'),
          layerNormEps: field('layer_norm_eps', positive(1), 1e-5),
          widths: field('conv_dim', COUNTS, [512, 512, 512, 512, 512, 512, 512]),
          kernels: ofConvolutions('conv_kernel', [10, 3, 3, 3, 3, 2, 2]),
          strides: ofConvolutions('conv_stride', [5, 2, 2, 2, 2, 2, 2]),
          convBias: field('conv_bias', flag, true),
          groups,
          places,
        },
        [...TRAINED_AUDIO, 'hidden_dropout', 'attention_dropout', 'activation_dropout'],
      ),
    },
    irrelevant: { pad_token_id: 'fills up texts of a batch, which are packed here' },
  }),
);
export type OmniasrConfig = ReturnType<(typeof OMNIASR_CONFIG)['read']>;
