import {
  activation,
  defineConfig,
  type Field,
  field,
  flag,
  integer,
  nested,
  only,
  positive,
  required,
  text,
  tokenField,
} from '../../layers/config/index.js';
import type { RopeConfig } from '../../step-inputs/index.js';
import { type AudioSizes, audioFields, LARGE_WHISPER } from '../base/audio/index.js';
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

/** The encoder's, whose heads turn by places in their first half. */
const encoderRope: Field<RopeConfig, AudioSizes & { readonly maxPositions: number }> = {
  read(json, { hiddenSize, numHeads, maxPositions }) {
    const section = json.section('rope_parameters');
    section?.value('rope_type', only('default'));
    const share =
      section?.value('partial_rotary_factor', positive(1)) ??
      json.value('partial_rotary_factor', positive(1)) ??
      0.5;
    const headDim = hiddenSize / numHeads;
    const rotaryDim = Math.trunc(headDim * share);
    if (rotaryDim < 2 || rotaryDim % 2 !== 0)
      json.fail(`partial_rotary_factor must turn an even number of elements of ${headDim}, found ${share}`);
    const theta = section?.value('rope_theta', positive(1e12)) ?? 10_000;
    const scaling = { type: 'default' } as const;
    return { theta, headDim, rotaryDim, interleaved: false, maxPositionEmbeddings: maxPositions, scaling };
  },
};

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
        rope: encoderRope,
      }),
    },
    irrelevant: { hidden_size: 'repeats that of text_config', vocab_size: 'repeats that of text_config' },
  }),
);
export type GlmAsrConfig = ReturnType<(typeof GLM_ASR_CONFIG)['read']>;
