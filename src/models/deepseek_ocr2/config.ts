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
  only,
  positive,
  required,
  text,
  tokenField,
  WIDTH,
} from '../../layers/config/index.js';
import { aroundText, textWithin } from '../base/text-within.js';
import { besideText, dividingHeads, dtypeBesideText, samFields } from '../base/vision/index.js';

const COUNT = integer(1, 10_000);

/** Of DeepseekOcr2TextConfig in transformers 5.24, from which files of text differ. */
const DEEPSEEK = {
  model_type: 'deepseek',
  vocab_size: 102_400,
  hidden_size: 4096,
  intermediate_size: 11_008,
  num_hidden_layers: 32,
  num_attention_heads: 32,
  max_position_embeddings: 2048,
  rms_norm_eps: 1e-6,
  n_routed_experts: 64,
  n_shared_experts: 2,
  moe_intermediate_size: 1407,
} as const;

/** How wide rows are behind each of two convolutions. */
const reduced: Field<readonly [number, number]> = {
  read(json) {
    const found = json.value('downsample_channels', listOf(WIDTH, '2 numbers')) ?? [512, 896];
    const [middle, last, ...more] = found;
    if (middle !== undefined && last !== undefined && more.length === 0) return [middle, last];
    return json.fail(`downsample_channels must have 2 numbers, found ${found.length}`);
  },
};

/** Of an MLP of SAM's: what the file says, or so many times what goes into it. */
const samWidth: Field<number, { readonly hiddenSize: number }> = {
  read(json, { hiddenSize }) {
    const ratio = json.value('mlp_ratio', positive(100)) ?? 4;
    return json.value('mlp_dim', WIDTH) ?? Math.trunc(hiddenSize * ratio);
  },
};

/** The base of the rotary embedding of queries: Qwen2's where the file does not mention it. */
const theta: Field<number> = {
  read(json) {
    const rope = json.section('rope_parameters');
    rope?.value('rope_type', only('default'));
    return rope?.value('rope_theta', positive(1e12)) ?? json.value('rope_theta', positive(1e12)) ?? 10_000;
  },
};

/** The encoder of queries: defaults of transformers 5.24, DeepseekOcr2VisionEncoderConfig. */
const QUERIES = nested(
  'encoder_config',
  {
    hiddenSize: field('hidden_size', WIDTH, 4096),
    intermediateSize: field('intermediate_size', WIDTH, 22_016),
    numLayers: field('num_hidden_layers', COUNT, 32),
    numHeads: encoderHeads('num_attention_heads', 32, { multiple: 2 }),
    numKeyValueHeads: dividingHeads('num_attention_heads', 32),
    hiddenAct: activation('hidden_act', 'silu'),
    epsilon: field('rms_norm_eps', positive(1), 1e-6),
    theta,
    slides: field('use_sliding_window', only(false), false),
  },
  [
    ...['vocab_size', 'max_position_embeddings', 'sliding_window', 'max_window_layers', 'layer_types'],
    ...[
      'tie_word_embeddings',
      'use_cache',
      'bos_token_id',
      'eos_token_id',
      'pad_token_id',
      'is_encoder_decoder',
    ],
  ],
);

/** Defaults of transformers 5.24, DeepseekOcr2Config and those of its parts. */
export const DEEPSEEK_OCR2_CONFIG = aroundText(
  defineConfig({
    fields: {
      text: textWithin('text_config', DEEPSEEK),
      modelType: field('model_type', text, required),
      dtype: dtypeBesideText,
      tieWordEmbeddings: besideText('tie_word_embeddings', flag, false),
      imageTokenId: tokenField('image_token_id', 128_815),
      vision: nested('vision_config', {
        sam: nested('sam_config', { ...samFields, intermediateSize: samWidth, reduced }, [
          'scale',
          'is_encoder_decoder',
        ]),
        queries: QUERIES,
      }),
    },
  }),
);
export type DeepseekOcr2Config = ReturnType<(typeof DEEPSEEK_OCR2_CONFIG)['read']>;
