import {
  defineConfig,
  type Field,
  field,
  flag,
  integer,
  nested,
  required,
  text,
  tokenField,
  WIDTH,
} from '../../layers/config/index.js';
import { aroundText, textWithin } from '../base/text-within.js';
import { besideText, dtypeBesideText, siglipFields } from '../base/vision/index.js';

/** Of Cohere2Config in transformers 5.24, from which files of text of that kind differ. */
export const COHERE2 = {
  model_type: 'cohere2',
  vocab_size: 256_000,
  hidden_size: 8192,
  intermediate_size: 22_528,
  num_hidden_layers: 40,
  num_attention_heads: 64,
  max_position_embeddings: 8192,
} as const;

/** Patches along a side of a block, which becomes one token: a side is cut into whole ones. */
export const mergeSize: Field<
  number,
  { readonly vision: { readonly imageSize: number; readonly patchSize: number } }
> = {
  read(json, { vision: { imageSize, patchSize } }) {
    const [name, side] = ['downsample_factor', Math.floor(imageSize / patchSize)];
    const size = json.value(name, integer(1, 1000)) ?? 2;
    return side % size === 0
      ? size
      : json.fail(`${name} must cut ${side} patches a side into blocks, found ${size}`);
  },
};

/** Gates and what they let through, side by side. */
export const gatedSizeOr = <N>(fallback: (config: N) => number): Field<number, N> => ({
  read(json, config) {
    const name = 'alignment_intermediate_size';
    const size = json.value(name, WIDTH) ?? fallback(config);
    return size % 2 === 0 ? size : json.fail(`${name} must be even, found ${size}`);
  },
});

/** Defaults of transformers 5.24, Cohere2VisionConfig. */
export const COHERE2_VISION_CONFIG = aroundText(
  defineConfig({
    fields: {
      text: textWithin('text_config', COHERE2),
      modelType: field('model_type', text, required),
      dtype: dtypeBesideText,
      tieWordEmbeddings: besideText('tie_word_embeddings', flag, true),
      imageTokenId: tokenField('image_token_id', 255_036),
      vision: nested(
        'vision_config',
        siglipFields({
          kinds: ['siglip_vision_model'],
          hiddenSize: 1152,
          numLayers: 27,
          numHeads: 12,
          imageSize: 512,
        }),
        ['vision_use_head', 'vocab_size', 'projection_dim'],
      ),
      mergeSize,
      gatedSize: gatedSizeOr(() => 36_864),
    },
    irrelevant: { vocab_size: 'repeats that of text_config', pad_token_id: 'is read of text_config' },
  }),
);
export type Cohere2VisionConfig = ReturnType<(typeof COHERE2_VISION_CONFIG)['read']>;
