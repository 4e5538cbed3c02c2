import {
  activation,
  defineConfig,
  encoderHeads,
  type Field,
  field,
  flag,
  integer,
  nested,
  positive,
  required,
  text,
  tokenField,
  WIDTH,
} from '../../layers/config/index.js';
import { QWEN3_0_6B } from '../base/audio/index.js';
import { aroundText, textWithin } from '../base/text-within.js';
import { besideText, dtypeBesideText } from '../base/vision/index.js';

/** What FunAsrNanoConfig of transformers 5.24 has for its text. */
const TEXT = {
  ...QWEN3_0_6B,
  max_position_embeddings: 40_960,
  tie_word_embeddings: true,
} as const;

const COUNT = integer(1, 10_000);

/** What layers of the encoder and of the adaptor have in common. */
const layerFields = (sizes: {
  readonly width: number;
  readonly inner: number;
  readonly layers: number;
  readonly heads: number;
}) => ({
  hiddenSize: field('hidden_size', WIDTH, sizes.width),
  intermediateSize: field('intermediate_size', WIDTH, sizes.inner),
  numLayers: field('num_hidden_layers', COUNT, sizes.layers),
  numHeads: encoderHeads('num_attention_heads', sizes.heads),
  hiddenAct: activation('hidden_act', 'relu'),
  layerNormEps: field('layer_norm_eps', positive(1), 1e-5),
});

/** Layers at the end of the encoder that are trained to find when words are said; what is heard passes them, too. */
const timingLayers: Field<number, { readonly numLayers: number }> = {
  read(json, { numLayers }) {
    const count = json.value('num_timestamp_prediction_layers', integer(0, 10_000)) ?? 20;
    if (count < numLayers) return count;
    return json.fail(
      `num_timestamp_prediction_layers must be below num_hidden_layers (${numLayers}), found ${count}`,
    );
  },
};

/** Rows are as wide as words. */
const asWideAsWords: Field<
  number,
  { readonly text: { readonly hiddenSize: number }; readonly adaptor: { readonly hiddenSize: number } }
> = {
  read(json, { text: { hiddenSize }, adaptor }) {
    if (adaptor.hiddenSize === hiddenSize) return hiddenSize;
    return json.fail(
      `adaptor_config.hidden_size must be that of text_config (${hiddenSize}), found ${adaptor.hiddenSize}`,
    );
  },
};

/** Defaults of transformers 5.24, FunAsrNanoConfig, FunAsrNanoEncoderConfig and FunAsrNanoAdaptorConfig. */
export const FUN_ASR_NANO_CONFIG = aroundText(
  defineConfig({
    fields: {
      text: textWithin('text_config', TEXT),
      modelType: field('model_type', text, required),
      dtype: dtypeBesideText,
      tieWordEmbeddings: besideText('tie_word_embeddings', flag, true),
      audioTokenId: tokenField('audio_token_id', 151_646),
      audio: nested(
        'audio_config',
        {
          ...layerFields({ width: 512, inner: 2048, layers: 70, heads: 4 }),
          bins: field('num_mel_bins', COUNT, 80),
          stacked: field('num_stacked_frames', COUNT, 7),
          taps: field('fsmn_kernel_size', integer(1, 1000), 11),
          positions: field('max_position_embeddings', integer(2, 1_000_000), 2049),
          timingLayers,
        },
        ['hidden_dropout', 'attention_dropout'],
      ),
      adaptor: nested(
        'adaptor_config',
        {
          ...layerFields({ width: 1024, inner: 256, layers: 2, heads: 8 }),
          projectorAct: activation('projector_hidden_act', 'relu'),
          projectorSize: field('projector_hidden_size', WIDTH, 2048),
        },
        ['hidden_dropout', 'attention_dropout'],
      ),
      outSize: asWideAsWords,
    },
  }),
);
export type FunAsrNanoConfig = ReturnType<(typeof FUN_ASR_NANO_CONFIG)['read']>;

/** What layers are told, of either kind. */
export type FunLayerSizes = Pick<
  FunAsrNanoConfig['audio'],
  'hiddenSize' | 'intermediateSize' | 'numLayers' | 'numHeads' | 'hiddenAct' | 'layerNormEps'
>;
