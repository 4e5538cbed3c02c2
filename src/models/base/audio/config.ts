import type { ActivationKind } from '../../../common-op-builders/index.js';
import {
  activation,
  encoderHeads,
  type Field,
  field,
  integer,
  only,
  positive,
  WIDTH,
} from '../../../layers/config/index.js';
import type { RopeConfig } from '../../../step-inputs/index.js';

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

/** Text of several classes of transformers 5.24 that hear, but for what each has of positions. */
export const QWEN3_0_6B = {
  model_type: 'qwen3',
  vocab_size: 151_936,
  hidden_size: 1024,
  intermediate_size: 3072,
  num_hidden_layers: 28,
  num_attention_heads: 16,
  num_key_value_heads: 8,
  head_dim: 128,
} as const;

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

/** How heads of an encoder turn by places of rows; `share`: of each head where files are silent. */
export const soundRope = <C extends { readonly maxPositions: number }>(
  share: number,
  headDimOf: (config: C) => number,
): Field<RopeConfig, C> => ({
  read(json, config) {
    const section = json.section('rope_parameters');
    section?.value('rope_type', only('default'));
    const found =
      section?.value('partial_rotary_factor', positive(1)) ??
      json.value('partial_rotary_factor', positive(1)) ??
      share;
    const headDim = headDimOf(config);
    const rotaryDim = Math.trunc(headDim * found);
    if (rotaryDim < 2 || rotaryDim % 2 !== 0)
      json.fail(`partial_rotary_factor must turn an even number of elements of ${headDim}, found ${found}`);
    const theta = section?.value('rope_theta', positive(1e12)) ?? 10_000;
    const [scaling, maxPositionEmbeddings] = [{ type: 'default' } as const, config.maxPositions];
    return { theta, headDim, rotaryDim, interleaved: false, maxPositionEmbeddings, scaling };
  },
});

/** Keys of training alone. */
export const TRAINED_AUDIO = ['encoder_layerdrop', 'layerdrop'];
