import {
  activation,
  defineConfig,
  encoderHeads,
  type Field,
  field,
  flag,
  integer,
  keysBecause,
  nested,
  only,
  positive,
  required,
  text,
  tokenField,
  WIDTH,
} from '../../layers/config/index.js';
import { aroundText, textWithin } from '../base/text-within.js';
import { axialTheta, besideText, dtypeBesideText } from '../base/vision/index.js';

const COUNT = integer(1, 10_000);
/** What published files call an encoder whose positions they describe. */
const PUBLISHED = [
  'image_size',
  'projection_dim',
  'vision_segment_max_frames',
  'img_token_compression_config',
];

/** The base of positions, where transformers 5 has it or, in published files, beside the rest. */
const theta: Field<number> = {
  read: (json, config) => json.value('rope_theta', positive(1e12)) ?? axialTheta.read(json, config),
};

/** Defaults of transformers 5.24, MiniMaxM3VLConfig and MiniMaxM3VLVisionConfig. */
export const MINIMAX_M3_VL_CONFIG = aroundText(
  defineConfig({
    fields: {
      text: textWithin('text_config', { model_type: 'minimax_m3_vl_text' }),
      modelType: field('model_type', text, required),
      dtype: dtypeBesideText,
      tieWordEmbeddings: besideText('tie_word_embeddings', flag, false),
      imageTokenId: tokenField(['image_token_index', 'image_token_id'], 200_025),
      videoTokenId: tokenField(['video_token_index', 'video_token_id'], 200_026),
      projectorSize: field('projector_hidden_size', WIDTH, 6144),
      projectorAct: field('projector_hidden_act', only('gelu'), 'gelu'),
      projectorBias: field('multimodal_projector_bias', only(true), true),
      merges: field('image_token_compression_method', only('patch_merge'), 'patch_merge'),
      strategy: field('vision_feature_select_strategy', only('full'), 'full'),
      featureLayer: field('vision_feature_layer', only(-1), -1),
      vision: nested(
        'vision_config',
        {
          hiddenSize: field('hidden_size', WIDTH, 1280),
          intermediateSize: field('intermediate_size', WIDTH, 5120),
          numLayers: field('num_hidden_layers', COUNT, 32),
          numHeads: encoderHeads('num_attention_heads', 16, { multiple: 2 }),
          channels: field('num_channels', only(3), 3),
          patchSize: field('patch_size', COUNT, 14),
          temporalPatchSize: field('temporal_patch_size', COUNT, 2),
          mergeSize: field('spatial_merge_size', integer(1, 100), 2),
          hiddenAct: activation('hidden_act', 'gelu'),
          layerNormEps: field('layer_norm_eps', positive(1), 1e-5),
          theta,
          // What published files say beside.
          turns: field('position_embedding_type', only('rope'), 'rope'),
          axes: field('rope_mode', only('3d'), '3d'),
        },
        [...PUBLISHED, 'image_token_compression_method', 'vocab_size', 'initializer_factor'],
      ),
    },
    irrelevant: {
      ...keysBecause('is read of text_config', 'bos_token_id', 'eos_token_id', 'pad_token_id'),
      ...keysBecause('is what vision_config says', 'spatial_merge_size', 'temporal_patch_size'),
      ...keysBecause(
        'is what processors know',
        'image_seq_length',
        'image_grid_pinpoints',
        'vision_start_token_id',
        'vision_end_token_id',
      ),
      merged_hidden_size: 'follows from other sizes',
      num_reward_heads: 'is about training',
    },
  }),
);
export type MiniMaxM3VlConfig = ReturnType<(typeof MINIMAX_M3_VL_CONFIG)['read']>;
