import {
  activation,
  type ConfigOf,
  type ConfigReader,
  constant,
  defineConfig,
  encoderHeads,
  type Field,
  field,
  flag,
  integer,
  keysBecause,
  listOf,
  nested,
  only,
  positive,
  required,
  rotaryConfig,
  text,
  tokenField,
  WIDTH,
  within,
} from '../../layers/config/index.js';
import { isLengthDependent, type RopeConfig } from '../../step-inputs/index.js';
import { besideText, dtypeBesideText } from '../base/vision/index.js';
import { HUNYUAN_FIELDS, HUNYUAN_IRRELEVANT } from '../hunyuan_v1_dense/index.js';

const SECTIONS = listOf(integer(1, 1000), 'integers');
/** What transformers 5 calls them, and what published files do. */
const NAMES = ['mrope_section', 'xdrope_section'] as const;

/**
 * Half of each stretch of a head that turns by an axis of its own: by columns, rows and pictures, before which places
 * in the text may have one.
 */
const sections: Field<readonly number[], { readonly rope: RopeConfig }> = {
  read(json, { rope }) {
    const section = json.section('rope_parameters') ?? json.section('rope_scaling');
    const found = NAMES.flatMap((name) =>
      [section?.value(name, SECTIONS)].filter((said) => said !== undefined),
    );
    const [said, other = said] = found;
    if (!section || !said || !other) return (section ?? json).missing('mrope_section');
    if (String(said) !== String(other))
      return section.fail(`mrope_section and xdrope_section contradict each other: ${said} and ${other}`);
    requireStretches(section, said, rope);
    return said;
  },
};

function requireStretches(section: ConfigReader, said: readonly number[], rope: RopeConfig): void {
  const sum = said.reduce((all, one) => all + one, 0);
  if (said.length < 3 || said.length > 4 || sum !== rope.headDim / 2)
    section.problem(
      `mrope_section must be 3 or 4 counts that make half of a head (${rope.headDim / 2}), found ${said}`,
    );
  if (isLengthDependent(rope))
    section.problem('rope_type must not depend on lengths here: dynamic needs alpha, which makes it fixed');
}

/** Of text, whose keys stand at the top as published, or within `text_config`. */
const irrelevantText = {
  ...HUNYUAN_IRRELEVANT,
  ...keysBecause('its class has no experts', 'num_experts', 'routed_scaling_factor'),
};

/** Defaults of transformers 5.24, HunYuanVLConfig. */
export const HUNYUAN_VL_CONFIG = defineConfig({
  fields: {
    ...within('text_config', {
      ...HUNYUAN_FIELDS,
      rope: rotaryConfig({ theta: 10_000, readsAlpha: true, typeNames: { xdrope: 'dynamic' } }),
      sections,
    }),
    modelType: field('model_type', text, required),
    dtype: dtypeBesideText,
    tieWordEmbeddings: besideText('tie_word_embeddings', flag, true),
    imageTokenId: tokenField('image_token_id', 120_120),
    videoTokenId: constant(undefined),
    vision: nested(
      'vision_config',
      {
        hiddenSize: field('hidden_size', WIDTH, 1152),
        intermediateSize: field('intermediate_size', WIDTH, 4304),
        numLayers: field('num_hidden_layers', integer(1, 10_000), 27),
        numHeads: encoderHeads('num_attention_heads', 16),
        layerNormEps: field(['rms_norm_eps', 'layer_norm_eps'], positive(1), 1e-5),
        hiddenAct: activation('hidden_act', 'gelu'),
        channels: field('num_channels', only(3), 3),
        patchSize: field('patch_size', integer(1, 1000), 16),
        mergeSize: field('spatial_merge_size', integer(1, 100), 2),
        temporalPatchSize: field('temporal_patch_size', only(1), 1),
        imageSize: field('max_image_size', WIDTH, 2048),
        interpolation: field('interpolate_mode', only('bilinear'), 'bilinear'),
      },
      // The processor says how large pictures are, the text how wide tokens; biases and edges are always there.
      [
        ...['min_image_size', 'img_max_token_num', 'max_vit_seq_len', 'anyres_vit_max_image_size'],
        ...['video_max_image_size', 'video_min_image_size', 'resize_resolution', 'spatial_patch_size'],
        ...['out_hidden_size', 'text_hidden_size', 'num_key_value_heads', 'hidden_dropout'],
        ...['add_patchemb_bias', 'cat_extra_token', 'learnable_mlp_pooling_size', 'remove_prenorm'],
      ],
    ),
  },
  irrelevant: {
    ...irrelevantText,
    ...Object.fromEntries(Object.entries(irrelevantText).map(([key, why]) => [`text_config.${key}`, why])),
    ...keysBecause(
      'is an id that the tokenizer knows',
      ...['image_start_token_id', 'image_end_token_id', 'image_newline_token_id'],
    ),
  },
});
export type HunyuanVlConfig = ConfigOf<typeof HUNYUAN_VL_CONFIG>;
