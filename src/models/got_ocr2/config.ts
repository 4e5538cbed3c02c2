import {
  defineConfig,
  field,
  flag,
  keysBecause,
  nested,
  required,
  text,
  tokenField,
} from '../../layers/config/index.js';
import { aroundText, textWithin } from '../base/text-within.js';
import { besideText, dtypeBesideText, samFields } from '../base/vision/index.js';

/** Text of GOT-OCR 2.0, as transformers 5.24 has it in GotOcr2Config. */
const QWEN2 = {
  model_type: 'qwen2',
  vocab_size: 151_860,
  hidden_size: 1024,
  intermediate_size: 2816,
  num_hidden_layers: 24,
  num_attention_heads: 16,
  num_key_value_heads: 16,
  max_position_embeddings: 32_768,
  rms_norm_eps: 1e-6,
  rope_theta: 1_000_000,
  use_sliding_window: false,
} as const;

/** Defaults of transformers 5.24, GotOcr2Config and GotOcr2VisionConfig. */
export const GOT_OCR2_CONFIG = aroundText(
  defineConfig({
    fields: {
      text: textWithin('text_config', QWEN2),
      modelType: field('model_type', text, required),
      dtype: dtypeBesideText,
      tieWordEmbeddings: besideText('tie_word_embeddings', flag, true),
      imageTokenId: tokenField(['image_token_index', 'image_token_id'], 151_859),
      vision: nested('vision_config', samFields),
    },
    irrelevant: keysBecause('follows from the sizes of pictures', 'image_seq_length'),
  }),
);
export type GotOcrConfig = ReturnType<(typeof GOT_OCR2_CONFIG)['read']>;
