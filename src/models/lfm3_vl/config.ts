import {
  defineConfig,
  encoderHeads,
  type Field,
  field,
  flag,
  integer,
  listOf,
  nested,
  oneOf,
  only,
  positive,
  required,
  text,
  tokenField,
  WIDTH,
} from '../../layers/config/index.js';
import { aroundText, textWithin } from '../base/text-within.js';
import { axialThetaOr, besideText, dividingHeads, dtypeBesideText } from '../base/vision/index.js';

const COUNT = integer(1, 10_000);

/** For each layer of the encoder, whether patches are mixed by attention, not by a convolution. */
const attends: Field<readonly boolean[], { readonly numLayers: number }> = {
  read(json, { numLayers }) {
    const named = json.value('layer_types', listOf(oneOf('conv', 'full_attention'), 'kinds of layers'));
    if (named !== undefined && named.length !== numLayers)
      json.problem(
        `layer_types must have one entry for each of the ${numLayers} layers, found ${named.length}`,
      );
    return Array.from({ length: numLayers }, (_, layer) =>
      named ? named[layer] === 'full_attention' : layer >= 2 && layer % 2 === 0,
    );
  },
};

/** Patches along a side of what a convolution sees, around each patch. */
const kernel: Field<number> = {
  read(json) {
    const size = json.value('conv_kernel_size', integer(1, 63)) ?? 3;
    return size % 2 === 1 ? size : json.fail(`conv_kernel_size must be odd, found ${size}`);
  },
};

/** Defaults of transformers 5.24, Lfm3VlConfig and Lfm3VlVisionConfig. */
export const LFM3_VL_CONFIG = aroundText(
  defineConfig({
    fields: {
      text: textWithin('text_config', { model_type: 'lfm3' }),
      modelType: field('model_type', text, required),
      dtype: dtypeBesideText,
      tieWordEmbeddings: besideText('tie_word_embeddings', flag, true),
      imageTokenId: tokenField('image_token_id', 125_030),
      videoTokenId: tokenField('video_token_id', 125_029),
      visionStartId: tokenField('vision_start_token_id', 125_009),
      visionEndId: tokenField('vision_end_token_id', 125_010),
      projectorAct: field('projector_hidden_act', only('gelu'), 'gelu'),
      projectorSize: field('projector_hidden_size', WIDTH, 4096),
      projectorBias: field('projector_bias', only(true), true),
      vision: nested('vision_config', {
        kind: field('model_type', only('lfm3_vl_vision'), 'lfm3_vl_vision'),
        hiddenSize: field('hidden_size', WIDTH, 1024),
        intermediateSize: field('intermediate_size', WIDTH, 2560),
        numLayers: field('num_hidden_layers', COUNT, 14),
        numHeads: encoderHeads('num_attention_heads', 16, { width: 'hidden_size', multiple: 4 }),
        numKeyValueHeads: dividingHeads('num_attention_heads', 8),
        channels: field('in_channels', only(3), 3),
        patchSize: field('patch_size', COUNT, 16),
        mergeSize: field('spatial_merge_size', COUNT, 2),
        temporalPatchSize: field('temporal_patch_size', COUNT, 2),
        theta: axialThetaOr(1_000_000),
        epsilon: field('norm_eps', positive(1), 1e-5),
        attends,
        kernel,
      }),
    },
  }),
);
export type Lfm3VlConfig = ReturnType<(typeof LFM3_VL_CONFIG)['read']>;
