import {
  type ConfigReader,
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
import { besideText, dtypeBesideText, layersUpTo, siglipFields } from '../base/vision/index.js';

const COUNT = integer(1, 1_000_000);

/** Of AriaTextConfig in transformers 5.24, from which files differ. */
const ARIA_TEXT = {
  model_type: 'aria_text',
  vocab_size: 32_000,
  hidden_size: 4096,
  intermediate_size: 4096,
  num_hidden_layers: 32,
  num_attention_heads: 32,
  max_position_embeddings: 2048,
} as const;

/** How many queries look at so many patches of the square in which a picture stands. */
export type QueryCounts = ReadonlyMap<number, number>;

const queries: Field<QueryCounts> = {
  read(json: ConfigReader) {
    const name = 'projector_patch_to_query_dict';
    const counts = json.section(name);
    if (counts === undefined)
      return new Map([
        [1225, 128],
        [4900, 256],
      ]);
    const patches = Object.keys(counts.dict);
    if (patches.length === 0 || patches.some((key) => !/^[1-9]\d{0,6}$/.test(key)))
      return json.fail(`${name} must name numbers of patches, found ${JSON.stringify(patches)}`);
    return new Map(patches.map((key) => [Number(key), counts.value(key, COUNT) ?? counts.missing(key)]));
  },
};

/** Defaults of transformers 5.24, AriaConfig and Idefics3VisionConfig. */
export const ARIA_CONFIG = aroundText(
  defineConfig({
    fields: {
      text: textWithin('text_config', ARIA_TEXT),
      modelType: field('model_type', text, required),
      dtype: dtypeBesideText,
      tieWordEmbeddings: besideText('tie_word_embeddings', flag, false),
      imageTokenId: tokenField(['image_token_index', 'image_token_id'], 9),
      queries,
      vision: nested(
        'vision_config',
        siglipFields({
          kinds: ['idefics3_vision', 'idefics3'],
          hiddenSize: 1152,
          numHeads: 16,
          patchSize: 32,
        }),
        ['torch_dtype'],
      ),
      computedLayers: layersUpTo('vision_feature_layer', -1),
    },
    irrelevant: {
      ignore_index: 'is used in training alone',
      max_value_projector_patch_to_query_dict:
        'is the largest number that projector_patch_to_query_dict says',
    },
  }),
);
export type AriaConfig = ReturnType<(typeof ARIA_CONFIG)['read']>;
