import {
  activation,
  defineConfig,
  field,
  flag,
  integer,
  keysBecause,
  nested,
  positive,
  required,
  text,
  tokenField,
  WIDTH,
} from '../../layers/config/index.js';
import { aroundText, textWithin } from '../base/text-within.js';
import { besideText, dtypeBesideText, siglipFields } from '../base/vision/index.js';

/** Of Idefics2Config and MistralConfig in transformers 5.24, from which files of text differ. */
const MISTRAL = {
  model_type: 'mistral',
  vocab_size: 32_000,
  hidden_size: 4096,
  intermediate_size: 14_336,
  num_hidden_layers: 32,
  num_attention_heads: 32,
  num_key_value_heads: 8,
  max_position_embeddings: 32_768,
  rms_norm_eps: 1e-5,
} as const;

const COUNT = integer(1, 10_000);

/** Defaults of transformers 5.24, Idefics2Config and those of its parts. */
export const IDEFICS2_CONFIG = aroundText(
  defineConfig({
    fields: {
      text: textWithin('text_config', MISTRAL),
      modelType: field('model_type', text, required),
      dtype: dtypeBesideText,
      tieWordEmbeddings: besideText('tie_word_embeddings', flag, false),
      imageTokenId: tokenField('image_token_id', 32_001),
      perceiver: nested(
        'perceiver_config',
        {
          width: field('hidden_size', WIDTH, 4096),
          epsilon: field('rms_norm_eps', positive(1), 1e-6),
          hiddenAct: activation('hidden_act', 'silu'),
          queries: field('resampler_n_latents', COUNT, 64),
          depth: field('resampler_depth', COUNT, 3),
          numHeads: field('resampler_n_heads', COUNT, 16),
          headDim: field('resampler_head_dim', COUNT, 96),
          numKeyValueHeads: field('num_key_value_heads', COUNT, 4),
        },
        ['qk_layer_norms_perceiver'],
      ),
      vision: nested(
        'vision_config',
        siglipFields({ kinds: ['idefics2_vision', 'idefics2'], patchSize: 32 }),
      ),
    },
    irrelevant: keysBecause('repeats text_config', 'vocab_size', 'pad_token_id'),
  }),
);
export type Idefics2Config = ReturnType<(typeof IDEFICS2_CONFIG)['read']>;
