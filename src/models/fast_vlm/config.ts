import {
  defineConfig,
  type Field,
  field,
  integer,
  listOf,
  nested,
  only,
  positive,
  WIDTH,
} from '../../layers/config/index.js';
import { LLAVA_IRRELEVANT, llavaFields, QWEN2_7B } from '../base/llava/index.js';
import { aroundText } from '../base/text-within.js';

const COUNT = integer(1, 10_000);
const ARGUMENTS = 'model_args';
/** Stages of FastViTHD, of which the last two attend. */
const STAGES = 5;
/** Pixels along a side of what becomes a token: two convolutions and all stages but the first halve it. */
export const PIXELS = 2 ** (2 + STAGES - 1);
const HEAD_DIM = 32;

/** A number of each stage, where an object of config.json has it. */
const ofStages = (section: string, name: string, fallback: readonly number[]): Field<readonly number[]> => ({
  read(json) {
    const found = json.section(section)?.value(name, listOf(positive(1e6), 'numbers')) ?? fallback;
    return found.length === STAGES
      ? found
      : json.fail(`${section}.${name} must have ${STAGES} numbers, found ${found.length}`);
  },
});

/** Channels of each stage: those of the one before, or twice as many; of those that attend whole heads. */
const widthsIn = (section: string): Field<readonly number[]> => ({
  read(json) {
    const found = ofStages(section, 'embed_dims', [96, 192, 384, 768, 1536]).read(json, {});
    const isBuilt = found.every((width, at) => {
      const before = found[at - 1] ?? width;
      const fits = at < STAGES - 2 || width % HEAD_DIM === 0;
      return fits && Number.isInteger(width) && (width === before || width === 2 * before);
    });
    if (isBuilt) return found;
    return json.fail(
      `${section}.embed_dims must stay or double, the last two multiples of ${HEAD_DIM}, found ${found}`,
    );
  },
});

/** What stages of FastViTHD are told in an object of config.json; as published where it is silent. */
export const fastVitStages = (section: string) => ({
  numLayers: { read: () => 1 } satisfies Field<number>,
  depths: ofStages(section, 'layers', [2, 12, 24, 4, 2]),
  widths: widthsIn(section),
  ratios: ofStages(section, 'mlp_ratios', [4, 4, 4, 4, 4]),
});

/** Numbers of a row of the encoder, twice the channels of the last stage, by their name in config.json. */
export const fastVitRows = (name: string): Field<number, { readonly widths: readonly number[] }> => ({
  read(json, { widths }) {
    const made = 2 * (widths.at(-1) ?? 0);
    const found = json.value(name, WIDTH) ?? 3072;
    if (found === made) return found;
    return json.fail(`${name} must be ${made}, twice the channels of the last stage, found ${found}`);
  },
});

/** Branches that training had are one convolution each. */
const isFolded: Field<true> = {
  read(json) {
    if (json.section(ARGUMENTS)?.value('inference_mode', only(true))) return true;
    return json.fail(`${ARGUMENTS}.inference_mode must be true: branches of training are not built`);
  },
};

/** FastViTHD as timm describes it; defaults of transformers 5.24, FastVlmConfig. */
const VISION = nested(
  'vision_config',
  {
    kind: field('model_type', only('timm_wrapper'), 'timm_wrapper'),
    architecture: field('architecture', only('fastvit_mci3'), 'fastvit_mci3'),
    ...fastVitStages(ARGUMENTS),
    isFolded,
    hiddenSize: fastVitRows('hidden_size'),
  },
  ['label_names', 'num_classes', 'do_pooling', 'global_pool', 'num_features', 'pretrained_cfg'],
);
export type FastVitConfig = ReturnType<(typeof VISION)['read']>;

/** Tokens along a side of a picture, which the class does not need to know. */
const tokensAlong: Field<number> = {
  read(json) {
    const name = 'image_seq_length';
    const tokens = json.value(name, COUNT) ?? 576;
    const side = Math.sqrt(tokens);
    return Number.isInteger(side) ? side : json.fail(`${name} must be a square, found ${tokens}`);
  },
};

const { image_seq_length: _, ...IRRELEVANT } = LLAVA_IRRELEVANT;

/** Defaults of transformers 5.24, FastVlmConfig. */
export const FAST_VLM_CONFIG = aroundText(
  defineConfig({
    fields: {
      ...llavaFields({
        vision: VISION,
        texts: [
          {
            ...{ ...QWEN2_7B, hidden_size: 3584, vocab_size: 152_128, intermediate_size: 18_944 },
            ...{ num_attention_heads: 28, num_key_value_heads: 4, num_hidden_layers: 28 },
          },
        ],
        imageTokenId: 151_646,
        featureLayer: -1,
        select: 'full',
      }),
      featureLayer: field('vision_feature_layer', only(-1), -1),
      tokensAlong,
    },
    irrelevant: IRRELEVANT,
  }),
);
export type FastVlmConfig = ReturnType<(typeof FAST_VLM_CONFIG)['read']>;
