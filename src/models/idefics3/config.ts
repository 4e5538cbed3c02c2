import {
  defineConfig,
  field,
  flag,
  integer,
  keysBecause,
  nested,
  required,
  text,
  tokenField,
} from '../../layers/config/index.js';
import { aroundText, textWithin } from '../base/text-within.js';
import { besideText, dtypeBesideText, siglipFields } from '../base/vision/index.js';

/** Of LlamaConfig in transformers 5.24, from which files of text of that kind differ. */
const LLAMA = {
  model_type: 'llama',
  vocab_size: 32_000,
  hidden_size: 4096,
  intermediate_size: 11_008,
  num_hidden_layers: 32,
  num_attention_heads: 32,
  max_position_embeddings: 2048,
  rms_norm_eps: 1e-5,
} as const;

const KINDS = [
  'idefics3_vision',
  'smolvlm_vision',
  'idefics3',
  'smolvlm',
  'siglip',
  'siglip_vision_model',
] as const;

/** Defaults of transformers 5.24, Idefics3Config and SmolVLMConfig. */
export const IDEFICS3_CONFIG = aroundText(
  defineConfig({
    fields: {
      text: textWithin('text_config', LLAMA),
      modelType: field('model_type', text, required),
      dtype: dtypeBesideText,
      tieWordEmbeddings: besideText('tie_word_embeddings', flag, false),
      imageTokenId: tokenField('image_token_id', 128_257),
      mergeSize: field('scale_factor', integer(1, 100), 2),
      vision: nested(
        'vision_config',
        siglipFields({ kinds: KINDS, hiddenSize: 1152, numHeads: 16, patchSize: 32 }),
        ['max_image_size', 'size', 'use_base_siglip', 'tie_word_embeddings', 'torch_dtype'],
      ),
    },
    irrelevant: keysBecause('repeats text_config', 'vocab_size', 'pad_token_id', '_pad_token_id'),
  }),
);
export type Idefics3Config = ReturnType<(typeof IDEFICS3_CONFIG)['read']>;
