import {
  activation,
  axesTakeTurns,
  biases,
  type ConfigOf,
  type DecoderDefaults,
  decoder,
  defineConfig,
  type Field,
  field,
  flag,
  fullAttention,
  integer,
  LLAMA_DEFAULTS,
  listOf,
  nested,
  required,
  sectionsOr,
  text,
  tokenField,
  WIDTH,
  within,
} from '../../layers/config/index.js';
import { besideText, dtypeBesideText, visionFields } from '../base/vision/index.js';

/** Behind which layers of its encoder there are vectors for the first layers of text. */
export const deepLayers: Field<readonly number[], { readonly depth: number }> = {
  read(json, { depth }) {
    const name = 'deepstack_visual_indexes';
    const layers = json.value(name, listOf(integer(0, 10_000), 'layers')) ?? [8, 16, 24];
    const beyond = layers.find((layer) => layer >= depth);
    if (beyond === undefined) return layers;
    return json.fail(`${name} must name layers below depth (${depth}), found ${beyond}`);
  },
};

/** What text has whose tokens stand on three axes. */
export const qwen3vlText = (
  defaults: Pick<DecoderDefaults, 'numKeyValueHeads' | 'headDim'> & Partial<DecoderDefaults>,
) => ({
  ...decoder({ ...LLAMA_DEFAULTS, ropeTheta: 500_000, ...defaults }),
  ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: false }),
  slidingWindows: fullAttention,
  sections: sectionsOr([24, 20, 20]),
  isInterleaved: axesTakeTurns,
});

/** The tower, beside which of its layers give vectors of their own. */
export const QWEN3_VL_VISION = {
  ...visionFields(),
  depth: field('depth', integer(1, 10_000), 27),
  patchSize: field('patch_size', integer(1, 10_000), 16),
  hiddenSize: field('hidden_size', WIDTH, 1152),
  intermediateSize: field('intermediate_size', WIDTH, 4304),
  outSize: field('out_hidden_size', WIDTH, 3584),
  hiddenAct: activation('hidden_act', 'gelu_tanh'),
  numPositions: field('num_position_embeddings', WIDTH, 2304),
};

/** What stands beside text, with its defaults of transformers 5.24. */
export const QWEN3_VL_FIELDS = {
  modelType: field('model_type', text, required),
  dtype: dtypeBesideText,
  tieWordEmbeddings: besideText('tie_word_embeddings', flag, false),
  imageTokenId: tokenField('image_token_id', 151_655),
  videoTokenId: tokenField('video_token_id', 151_656),
  visionStartId: tokenField('vision_start_token_id', 151_652),
  visionEndId: tokenField('vision_end_token_id', 151_653),
  vision: nested('vision_config', { ...QWEN3_VL_VISION, deepLayers }),
};

/** Keys that say what others know by themselves. */
export const QWEN3_VL_IRRELEVANT = { vision_token_id: 'stands in the chat template' };

/** Defaults of transformers 5.24, Qwen3VLConfig. */
export const QWEN3_VL_CONFIG = defineConfig({
  fields: {
    ...within('text_config', qwen3vlText({ numKeyValueHeads: 32, headDim: 128 })),
    ...QWEN3_VL_FIELDS,
  },
  irrelevant: QWEN3_VL_IRRELEVANT,
});
export type Qwen3vlConfig = ConfigOf<typeof QWEN3_VL_CONFIG>;
