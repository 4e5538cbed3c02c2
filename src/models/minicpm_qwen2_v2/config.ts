import {
  biases,
  type ConfigOf,
  constant,
  decoder,
  defineConfig,
  type Field,
  field,
  integer,
  LLAMA_DEFAULTS,
  nested,
  only,
  slidingByLayer,
} from '../../layers/config/index.js';
import { siglipFields } from '../base/vision/index.js';

const COUNT = integer(1, 10_000);

/** Each version has text and pictures of its own kind under the same `model_type`; those before 2.6 do not say theirs. */
const version: Field<number> = {
  read(json) {
    const found = json.raw('version') ?? 'none';
    const expected = 'must be 2.6: of the models of this model_type only MiniCPM-V 2.6 is built';
    return Number(found) === 2.6 ? 2.6 : json.fail(`version ${expected}, found ${JSON.stringify(found)}`);
  },
};

/** Defaults of the published configuration_minicpm.py, which extends Qwen2Config; pictures as its SiglipVisionConfig. */
export const MINICPM_QWEN2_V2_CONFIG = defineConfig({
  fields: {
    version,
    textKind: constant('qwen2' as const),
    ...decoder({ ...LLAMA_DEFAULTS, numKeyValueHeads: 32 }),
    ...biases({ qkv: true, dense: false, mlp: false }),
    slidingWindows: slidingByLayer({ useSlidingWindow: false, window: 4096, maxWindowLayers: 28 }),
    queries: field('query_num', COUNT, 64),
    dropsLastLayer: field('drop_vision_last_layer', only(false), true),
    vision: nested('vision_config', siglipFields({ kinds: ['siglip', 'siglip_vision_model'] })),
  },
  irrelevant: {
    batch_vision_input: 'says how pictures of a batch are encoded, which changes none of them',
    vision_batch_size: 'says how pictures of a batch are encoded, which changes none of them',
    image_size: 'is what preprocessor_config.json says',
    patch_size: 'repeats that of vision_config',
    slice_config: 'is what preprocessor_config.json says',
    slice_mode: 'is what preprocessor_config.json says',
    use_image_id: 'is what preprocessor_config.json says',
  },
});
export type Minicpmqwen2v2Config = ConfigOf<typeof MINICPM_QWEN2_V2_CONFIG>;
