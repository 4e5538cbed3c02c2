import {
  constant,
  defineConfig,
  type Field,
  field,
  flag,
  integer,
  nested,
  required,
  text,
  tokenField,
} from '../../layers/config/index.js';
import { aroundText, textWithin } from '../base/text-within.js';
import { besideText, dtypeBesideText, siglipFields } from '../base/vision/index.js';

const COUNT = integer(1, 10_000);

/** Of Gemma3TextConfig in transformers 5.24, from which files of text of that kind differ. */
const GEMMA3_TEXT = {
  model_type: 'gemma3_text',
  vocab_size: 262_208,
  hidden_size: 2304,
  intermediate_size: 9216,
  num_hidden_layers: 26,
  num_attention_heads: 8,
  max_position_embeddings: 131_072,
} as const;

/** Patches along a side of a block, of which one token is the mean: tokens make a square, too. */
const mergeSize: Field<
  number,
  { readonly vision: { readonly imageSize: number; readonly patchSize: number } }
> = {
  read(json, { vision: { imageSize, patchSize } }) {
    const name = 'mm_tokens_per_image';
    const tokens = json.value(name, COUNT) ?? 256;
    const size = Math.floor(imageSize / patchSize) / Math.sqrt(tokens);
    if (Number.isInteger(size)) return size;
    return json.fail(`${name} must cut ${imageSize / patchSize} patches a side into blocks, found ${tokens}`);
  },
};

/** Defaults of transformers 5.24, Gemma3Config and SiglipVisionConfig. */
export const GEMMA3_CONFIG = aroundText(
  defineConfig({
    fields: {
      text: textWithin('text_config', GEMMA3_TEXT),
      modelType: field('model_type', text, required),
      dtype: dtypeBesideText,
      tieWordEmbeddings: besideText('tie_word_embeddings', flag, true),
      seesInserts: constant(true),
      imageTokenId: tokenField(['image_token_index', 'image_token_id'], 262_144),
      imageStartId: tokenField(['boi_token_index', 'boi_token_id'], 255_999),
      imageEndId: tokenField(['eoi_token_index', 'eoi_token_id'], 256_000),
      vision: nested('vision_config', siglipFields({ kinds: ['siglip_vision_model'] }), ['vision_use_head']),
      mergeSize,
    },
    irrelevant: { vocab_size: 'repeats that of text_config', pad_token_id: 'is read of text_config' },
  }),
);
export type Gemma3VisionConfig = ReturnType<(typeof GEMMA3_CONFIG)['read']>;
