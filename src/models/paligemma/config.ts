import {
  constant,
  defineConfig,
  type Field,
  field,
  flag,
  integer,
  keysBecause,
  type LongestContext,
  longestContext,
  nested,
  only,
  required,
  text,
  tokenField,
} from '../../layers/config/index.js';
import { aroundText, type TextWithin, textWithout } from '../base/text-within.js';
import { besideText, dtypeBesideText, siglipFields } from '../base/vision/index.js';

/** Of PaliGemmaConfig and Gemma2Config in transformers 5.24, from which files of text of these kinds differ. */
const GEMMA = {
  model_type: 'gemma',
  vocab_size: 257_152,
  hidden_size: 2048,
  intermediate_size: 16_384,
  num_hidden_layers: 18,
  num_attention_heads: 8,
  num_key_value_heads: 1,
  max_position_embeddings: 8192,
} as const;
const GEMMA2 = {
  model_type: 'gemma2',
  vocab_size: 256_000,
  hidden_size: 2304,
  intermediate_size: 9216,
  num_hidden_layers: 26,
  num_attention_heads: 8,
  max_position_embeddings: 8192,
} as const;

/**
 * Keys of text_config that its family does not know: that prompts are seen both ways, and how many tokens a picture
 * has.
 */
const [BOTH_WAYS, PICTURE_TOKENS] = ['use_bidirectional_attention', 'num_image_tokens'];

/** The model of text, whose prompt's tokens see each other. */
const textSeen: Field<TextWithin> = {
  read(json) {
    json.section('text_config')?.value(BOTH_WAYS, only(true));
    return textWithout([BOTH_WAYS, PICTURE_TOKENS], 'text_config', GEMMA, GEMMA2).read(json, {});
  },
};

/** Rows of pictures come to the size of words. */
const projected: Field<number, { readonly text: TextWithin }> = {
  read(json, { text: { hiddenSize } }) {
    const size = json.value('projection_dim', integer(1, 2 ** 24)) ?? 2048;
    return size === hiddenSize
      ? size
      : json.fail(`projection_dim must be hidden_size of text_config (${hiddenSize}), found ${size}`);
  },
};

/** The smallest window of the text: transformers lets prompts be seen past it, masks of windows do not. */
const smallestWindow = ({ text }: { readonly text: TextWithin }): number | undefined => {
  const windows = (text.slidingWindows ?? []).filter((size) => size !== undefined);
  return windows.length > 0 ? Math.min(...windows) : undefined;
};

/** As far as what is built goes. */
const positionsWithin: Field<
  number,
  { readonly text: TextWithin; readonly longestContext: LongestContext | undefined }
> = {
  read: (_, { text: { maxPositionEmbeddings }, longestContext }) =>
    Math.min(maxPositionEmbeddings, longestContext?.tokens ?? maxPositionEmbeddings),
};

/** Defaults of transformers 5.24, PaliGemmaConfig. */
export const PALIGEMMA_CONFIG = aroundText(
  defineConfig({
    fields: {
      text: textSeen,
      modelType: field('model_type', text, required),
      dtype: dtypeBesideText,
      tieWordEmbeddings: besideText('tie_word_embeddings', flag, true),
      seesInserts: constant(true),
      longestContext: longestContext(
        'sliding_window of text_config: prompts that see themselves past a window are not built',
        smallestWindow,
      ),
      maxPositionEmbeddings: positionsWithin,
      imageTokenId: tokenField(['image_token_index', 'image_token_id'], 256_000),
      projected,
      vision: nested(
        'vision_config',
        siglipFields({
          kinds: ['siglip_vision_model'],
          hiddenSize: 1152,
          intermediateSize: 4096,
          numLayers: 27,
          numHeads: 16,
          imageSize: 224,
          patchSize: 14,
        }),
        ['vision_use_head', 'projection_dim', 'projector_hidden_act', 'num_image_tokens', 'vocab_size'],
      ),
    },
    irrelevant: {
      ...keysBecause('repeats that of text_config', 'vocab_size', 'hidden_size'),
      pad_token_id: 'is read of text_config',
      ignore_index: 'is used in training alone',
    },
  }),
);
export type PaligemmaConfig = ReturnType<(typeof PALIGEMMA_CONFIG)['read']>;
