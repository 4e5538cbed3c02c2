import type { ActivationKind } from '../../../common-op-builders/index.js';
import { activation, encoderHeads, field, integer, only, WIDTH } from '../../../layers/config/index.js';

const COUNT = integer(1, 10_000);

/** What an encoder of sound is told by the configuration. */
export interface AudioSizes {
  readonly hiddenSize: number;
  readonly numLayers: number;
  readonly numHeads: number;
  readonly intermediateSize: number;
  readonly melBins: number;
  readonly hiddenAct: ActivationKind;
}

/** Of Whisper's large encoder. */
export const LARGE_WHISPER = { width: 1280, layers: 32, heads: 20, inner: 5120 };

/**
 * What encoders of Whisper's kind have in `audio_config`, under one of two names; `name`: the width's in most files.
 */
export const audioFields = ({ width, layers, heads, inner } = LARGE_WHISPER, name = 'd_model') => ({
  hiddenSize: field(['d_model', 'hidden_size'], WIDTH, width),
  numLayers: field(['encoder_layers', 'num_hidden_layers'], COUNT, layers),
  numHeads: encoderHeads(['encoder_attention_heads', 'num_attention_heads'], heads, { width: name }),
  intermediateSize: field(['encoder_ffn_dim', 'intermediate_size'], WIDTH, inner),
  melBins: field('num_mel_bins', COUNT, 128),
  hiddenAct: activation('activation_function', 'gelu'),
  scalesEmbedding: field('scale_embedding', only(false), false),
});

/** How many rows have a position. */
export const sourcePositions = field('max_source_positions', COUNT, 1500);

/** Keys of training alone. */
export const TRAINED_AUDIO = ['encoder_layerdrop', 'layerdrop'];
