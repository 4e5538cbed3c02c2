import {
  defineConfig,
  field,
  flag,
  nested,
  only,
  positive,
  required,
  text,
  tokenField,
} from '../../layers/config/index.js';
import { aroundText, type TextWithin, textWithin } from '../base/text-within.js';
import { besideText, dtypeBesideText, layersUpTo, siglipFields } from '../base/vision/index.js';
import { COHERE2, gatedSizeOr, mergeSize } from '../cohere2_vision/index.js';

/** Defaults of transformers 5.24, AyaVisionConfig. */
export const AYA_VISION_CONFIG = aroundText(
  defineConfig({
    fields: {
      text: textWithin('text_config', COHERE2),
      modelType: field('model_type', text, required),
      dtype: dtypeBesideText,
      tieWordEmbeddings: besideText('tie_word_embeddings', flag, true),
      imageTokenId: tokenField(['image_token_index', 'image_token_id'], 255_036),
      computedLayers: layersUpTo('vision_feature_layer', -1),
      // SigLIP has no row that stands for a picture.
      select: field('vision_feature_select_strategy', only('full'), 'full'),
      vision: nested(
        'vision_config',
        siglipFields({
          kinds: ['siglip_vision_model'],
          hiddenSize: 1152,
          intermediateSize: 4304,
          numLayers: 26,
          numHeads: 14,
          imageSize: 384,
          patchSize: 14,
        }),
        ['vision_use_head', 'vocab_size', 'projection_dim'],
      ),
      mergeSize,
      gatedSize: gatedSizeOr(({ text: { hiddenSize } }: { readonly text: TextWithin }) => hiddenSize),
      projectorEps: field('adapter_layer_norm_eps', positive(1), 1e-6),
    },
    irrelevant: { vocab_size: 'repeats that of text_config', pad_token_id: 'is read of text_config' },
  }),
);
export type AyaVisionConfig = ReturnType<(typeof AYA_VISION_CONFIG)['read']>;
