import { defineConfig, field, flag, required, text, tokenField } from '../../layers/config/index.js';
import { LLAMA_7B, QWEN2_7B, siglipVision } from '../base/llava/index.js';
import { aroundText, textWithin } from '../base/text-within.js';
import { dtypeBesideText } from '../base/vision/index.js';

/** What DeepSeek-VL has with one encoder and with two. Defaults of transformers 5.24, DeepseekVLConfig. */
export const deepseekVlFields = {
  text: textWithin('text_config', LLAMA_7B, QWEN2_7B),
  modelType: field('model_type', text, required),
  dtype: dtypeBesideText,
  tieWordEmbeddings: field('tie_word_embeddings', flag, true),
  imageTokenId: tokenField('image_token_id', 100_015),
  vision: siglipVision(),
};

export const DEEPSEEK_VL_CONFIG = aroundText(defineConfig({ fields: deepseekVlFields }));
export type DeepseekVlConfig = ReturnType<(typeof DEEPSEEK_VL_CONFIG)['read']>;
