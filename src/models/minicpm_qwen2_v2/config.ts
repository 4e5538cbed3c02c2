import {
  biases,
  type ConfigDict,
  type ConfigOf,
  constant,
  decoder,
  defineConfig,
  type Field,
  field,
  fullAttention,
  integer,
  LLAMA_DEFAULTS,
  nested,
  only,
  slidingByLayer,
} from '../../layers/config/index.js';
import { siglipFields } from '../base/vision/index.js';

const COUNT = integer(1, 10_000);

/** Each version has text and pictures of its own kind under the same `model_type`; those before 2.6 do not say theirs. */
const versionOf = (dict: ConfigDict): number => Number(dict.version ?? Number.NaN);

const version: Field<number> = {
  read(json) {
    const found = json.raw('version') ?? 'none';
    const known = versionOf(json.dict);
    const expected = 'must be 2.6 or 4: of the models of this model_type only MiniCPM-V 2.6 and 4 are built';
    return known === 2.6 || known === 4
      ? known
      : json.fail(`version ${expected}, found ${JSON.stringify(found)}`);
  },
};

/** Defaults of the published configuration_minicpm.py; pictures as its SiglipVisionConfig. */
const SEEING = {
  version,
  queries: field('query_num', COUNT, 64),
  dropsLastLayer: field('drop_vision_last_layer', only(false), true),
  vision: nested('vision_config', siglipFields({ kinds: ['siglip', 'siglip_vision_model'] })),
};
const IRRELEVANT = {
  batch_vision_input: 'says how pictures of a batch are encoded, which changes none of them',
  vision_batch_size: 'says how pictures of a batch are encoded, which changes none of them',
  image_size: 'is what preprocessor_config.json says',
  patch_size: 'repeats that of vision_config',
  slice_config: 'is what preprocessor_config.json says',
  slice_mode: 'is what preprocessor_config.json says',
  use_image_id: 'is what preprocessor_config.json says',
};

/** Of 2.6, which extends Qwen2Config. */
const WITHIN_QWEN2 = defineConfig({
  fields: {
    ...SEEING,
    textKind: constant('qwen2' as const),
    ...decoder({ ...LLAMA_DEFAULTS, numKeyValueHeads: 32 }),
    ...biases({ qkv: true, dense: false, mlp: false }),
    slidingWindows: slidingByLayer({ useSlidingWindow: false, window: 4096, maxWindowLayers: 28 }),
  },
  irrelevant: IRRELEVANT,
});

/** Of 4, which extends LlamaConfig. */
const WITHIN_LLAMA = defineConfig({
  fields: {
    ...SEEING,
    textKind: constant('llama' as const),
    ...decoder(LLAMA_DEFAULTS),
    ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: 'mlp_bias' }),
    slidingWindows: fullAttention,
  },
  irrelevant: IRRELEVANT,
});

export type Minicpmqwen2v2Config = ConfigOf<typeof WITHIN_QWEN2> | ConfigOf<typeof WITHIN_LLAMA>;

export const MINICPM_QWEN2_V2_CONFIG = {
  read: (dict: ConfigDict): Minicpmqwen2v2Config =>
    (versionOf(dict) === 4 ? WITHIN_LLAMA : WITHIN_QWEN2).read(dict),
};
