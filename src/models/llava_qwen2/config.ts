import {
  type ConfigReader,
  defineConfig,
  type Field,
  field,
  keysBecause,
  only,
  required,
  text,
  tokenField,
} from '../../layers/config/index.js';
import { isOfPictures, PUBLISHED_IRRELEVANT, publishedFields, squareAspect } from '../base/llava/index.js';
import { aroundText, textAmong } from '../base/text-within.js';
import { fastVitRows, fastVitStages, PIXELS } from '../fast_vlm/index.js';

/** Tokens along a side of a picture, whose pixels the name of the encoder says. */
const tokensAlong: Field<number> = {
  read(json) {
    const name = 'mm_vision_tower';
    const found = json.value(name, text) ?? json.missing(name);
    const side = Number(/^mobileclip_l_(\d+)$/.exec(found)?.[1]);
    if (side > 0 && side % PIXELS === 0) return side / PIXELS;
    return json.fail(
      `${name} must be "mobileclip_l_1024", or another multiple of ${PIXELS}: of other encoders this is not the ` +
        `name (llava, llava_next and llava_onevision of transformers have them), found "${found}"`,
    );
  },
};

/** FastViTHD, of which files say nothing that is not as published. */
const vision = {
  read(json: ConfigReader) {
    const { depths, widths, ratios } = fastVitStages('vision_config');
    const found = widths.read(json, {});
    return {
      ...{ kind: 'fastvit', numLayers: 1, widths: found },
      ...{ depths: depths.read(json, {}), ratios: ratios.read(json, {}) },
      hiddenSize: fastVitRows('mm_hidden_size').read(json, { widths: found }),
    };
  },
};

/** FastVLM as Apple published it, with code of its own (LlavaQwen2ForCausalLM). */
export const LLAVA_QWEN2_CONFIG = aroundText(
  defineConfig({
    fields: {
      text: textAmong('qwen2', isOfPictures),
      modelType: field('model_type', text, required),
      // As that of the text.
      dtype: { read: () => undefined },
      imageTokenId: tokenField('image_token_index', 151_646),
      tokensAlong,
      vision,
      aspect: field('image_aspect_ratio', squareAspect, 'square'),
      ...publishedFields,
      merge: field('mm_patch_merge_type', only('flat'), 'flat'),
      takenLayers: { read: (): readonly number[] => [0] },
      computedLayers: { read: () => 1 },
      select: { read: () => 'full' as const },
    },
    irrelevant: {
      ...PUBLISHED_IRRELEVANT,
      ...keysBecause(
        'the encoder gives one result, of patches alone',
        'mm_vision_select_layer',
        'mm_vision_select_feature',
      ),
      image_grid_pinpoints: 'is for pictures in tiles, which image_aspect_ratio does not ask for',
    },
  }),
);
export type LlavaQwen2Config = ReturnType<(typeof LLAVA_QWEN2_CONFIG)['read']>;
