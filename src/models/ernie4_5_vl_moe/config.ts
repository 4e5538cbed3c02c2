import {
  activation,
  type ConfigOf,
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
  oneOf,
  only,
  positive,
  required,
  sectionsOr,
  text,
  tokenField,
  WIDTH,
  within,
} from '../../layers/config/index.js';
import { besideText, dtypeBesideText, visionFields } from '../base/vision/index.js';
import { ernieText } from '../ernie4_5_moe/index.js';

/** Of one expert of words, and of one of what is seen. */
const widths: Field<readonly [number, number]> = {
  read(json) {
    const name = 'moe_intermediate_size';
    const [words = 1536, seen = 512, ...more] = json.value(name, listOf(WIDTH, 'two sizes')) ?? [];
    return more.length === 0
      ? [words, seen]
      : json.fail(`${name} must be two sizes, found ${2 + more.length}`);
  },
};

/** Layers whose MLPs are experts: all but the first where files are silent. */
const sparseLayers: Field<readonly boolean[], { readonly numHiddenLayers: number }> = {
  read(json, { numHiddenLayers: layers }) {
    const name = 'mlp_layer_types';
    const said = json.value(name, listOf(oneOf('dense', 'sparse'), 'kinds of layers'));
    if (said && said.length !== layers) return json.fail(`${name} must be one for each of ${layers} layers`);
    return Array.from(
      { length: layers },
      (_, layer) => (said?.[layer] ?? (layer > 0 && 'sparse')) === 'sparse',
    );
  },
};

/** Frequencies of height and of width take turns, and those of time follow; counts are height's, width's and time's. */
const turns: Field<readonly number[], { readonly sections: readonly number[] }> = {
  read(json, { sections: [height = 0, width = 0, time = 0] }) {
    if (height !== width)
      return json.fail(`mrope_section must have as much height as width, found ${height}, ${width}`);
    return Array.from({ length: height + width + time }, (_, i) => (i >= height + width ? 0 : 1 + (i % 2)));
  },
};

/** Defaults of transformers 5.24, Ernie4_5_VLMoeConfig. */
export const ERNIE_VL_CONFIG = defineConfig({
  fields: {
    ...within('text_config', {
      ...ernieText,
      moeIntermediateSize: constant(0),
      widths,
      sparseLayers,
      sections: sectionsOr([22, 22, 20]),
      turns,
    }),
    modelType: field('model_type', text, required),
    dtype: dtypeBesideText,
    tieWordEmbeddings: besideText('tie_word_embeddings', flag, true),
    imageTokenId: tokenField('image_token_id', 100_295),
    imageStartId: tokenField('image_start_token_id', 101_304),
    imageEndId: tokenField('image_end_token_id', 101_305),
    videoTokenId: tokenField('video_token_id', 103_367),
    videoStartId: tokenField('video_start_token_id', 101_306),
    videoEndId: tokenField('video_end_token_id', 101_307),
    vision: nested('vision_config', {
      ...visionFields(),
      hiddenSize: field('hidden_size', WIDTH, 1280),
      intermediateSize: field('intermediate_size', WIDTH, 5120),
      numHeads: encoderHeads('num_heads', 16, { multiple: 4 }),
      temporalPatchSize: constant(1),
      temporalMergeSize: field('temporal_merge_size', only(2), 2),
      hiddenAct: activation('hidden_act', 'quick_gelu'),
      epsilon: field('rms_norm_eps', positive(1), 1e-6),
      depth: field('depth', integer(1, 10_000), 32),
    }),
  },
  irrelevant: keysBecause('is used in training alone', 'router_aux_loss_coef', 'output_router_logits'),
});
export type ErnieVlConfig = ConfigOf<typeof ERNIE_VL_CONFIG>;
