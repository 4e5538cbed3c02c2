import {
  type ConfigReader,
  defineConfig,
  type Field,
  field,
  flag,
  integer,
  keysBecause,
  listOf,
  nested,
  positive,
  required,
  text,
  tokenField,
  WIDTH,
  within,
} from '../../layers/config/index.js';
import { aroundText, textWithin } from '../base/text-within.js';
import { besideText, dtypeBesideText, siglipFields } from '../base/vision/index.js';

const FACTOR = positive(1e6);

/** Defaults of transformers 5.24, GraniteDoclingTextConfig. */
const TEXT = {
  model_type: 'granite_docling_text',
  vocab_size: 133_800,
  hidden_size: 1024,
  intermediate_size: 2048,
  num_hidden_layers: 28,
  num_attention_heads: 16,
  num_key_value_heads: 4,
  max_position_embeddings: 32_768,
  rms_norm_eps: 1e-5,
  embedding_multiplier: 12,
  logits_scaling: 4,
  residual_multiplier: 0.263,
  attention_multiplier: 0.015625,
} as const;

const INDEXES = 'deepstack_visual_indexes';
const indexes = listOf(integer(0, 10_000), 'layers');
const DEEP = [3, 7, 10];

/** Layers of the encoder whose results become vectors for the first layers of text, one for each. */
const deepLayers: Field<readonly number[], { readonly numLayers: number }> = {
  read(json, { numLayers }) {
    const layers = json.value(INDEXES, indexes) ?? DEEP;
    if (layers.every((layer, at) => layer < numLayers && layer > (layers[at - 1] ?? -1))) return layers;
    return json.fail(`${INDEXES} must be some of ${numLayers} layers, first ones first, found ${layers}`);
  },
};

/** Defaults of transformers 5.24, GraniteDoclingConfig. */
export const GRANITE_DOCLING_CONFIG = aroundText(
  defineConfig({
    fields: {
      text: textWithin('text_config', TEXT),
      ...within('text_config', {
        logitsScaling: field('logits_scaling', FACTOR, TEXT.logits_scaling),
      }),
      modelType: field('model_type', text, required),
      dtype: dtypeBesideText,
      tieWordEmbeddings: besideText('tie_word_embeddings', flag, true),
      imageTokenId: tokenField('image_token_id', 100_337),
      ...within('vision_config', {
        mergeSize: field('scale_factor', integer(1, 100), 4),
        deepLevels: {
          read: (json: ConfigReader) => (json.value(INDEXES, indexes) ?? DEEP).map((_, level) => level),
        },
      }),
      vision: nested(
        'vision_config',
        {
          ...siglipFields({ kinds: ['granite_docling_vision'], imageSize: 512 }),
          outSize: field('out_hidden_size', WIDTH, 1024),
          deepLayers,
        },
        // Of a second way to see a page, with four times as many tokens, for which files of processors have to ask.
        ['use_fine_route'],
      ),
    },
    irrelevant: {
      ...keysBecause(
        'is about pages that should be seen in a second way, for which processors have to ask',
        ...['density_router_hidden_size', 'density_router_threshold', 'density_router_loss_weight'],
      ),
      ...keysBecause('repeats text_config', 'pad_token_id'),
    },
  }),
);
export type GraniteDoclingConfig = ReturnType<(typeof GRANITE_DOCLING_CONFIG)['read']>;
