import {
  activation,
  biases,
  type ConfigOf,
  constant,
  decoder,
  defineConfig,
  field,
  flag,
  integer,
  LENGTH,
  nested,
  only,
  required,
  slidingByLayer,
  text,
  tokenField,
  WIDTH,
  within,
} from '../../layers/config/index.js';
import type { TextKind } from '../base/text-within.js';
import { besideText, dtypeBesideText } from '../base/vision/index.js';

const COUNT = integer(1, 10_000);

/** Defaults of transformers 5.24, Qwen2AudioConfig; published files say only where their text differs from Qwen2Config. */
export const QWEN2_AUDIO_CONFIG = defineConfig({
  fields: {
    ...within('text_config', {
      ...decoder({
        numKeyValueHeads: 32,
        headDim: 'hidden_size / num_attention_heads',
        hiddenAct: 'silu',
        rmsNormEps: 1e-6,
        ropeTheta: 10_000,
        tieWordEmbeddings: false,
      }),
      ...biases({ qkv: true, dense: false, mlp: false }),
      hiddenSize: field('hidden_size', WIDTH, 4096),
      numHiddenLayers: field('num_hidden_layers', integer(1, 1000), 32),
      numAttentionHeads: field('num_attention_heads', COUNT, 32),
      intermediateSize: field('intermediate_size', WIDTH, 22_016),
      vocabSize: field('vocab_size', WIDTH, 151_936),
      maxPositionEmbeddings: field('max_position_embeddings', LENGTH, 32_768),
      slidingWindows: slidingByLayer<{ readonly numHiddenLayers: number }>({
        useSlidingWindow: false,
        window: 4096,
        maxWindowLayers: 28,
      }),
    }),
    textKind: constant<TextKind>('qwen2'),
    modelType: field('model_type', text, required),
    dtype: dtypeBesideText,
    tieWordEmbeddings: besideText('tie_word_embeddings', flag, false),
    audioTokenId: tokenField('audio_token_index', 151_646),
    audio: nested(
      'audio_config',
      {
        hiddenSize: field('d_model', WIDTH, 1280),
        numLayers: field('encoder_layers', COUNT, 32),
        numHeads: field('encoder_attention_heads', COUNT, 20),
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
    audio_token_id: 'repeats audio_token_index',
    ignore_index: 'is used in training alone',
    vocab_size: 'repeats that of text_config',
  },
});
export type Qwen2AudioConfig = ConfigOf<typeof QWEN2_AUDIO_CONFIG>;
