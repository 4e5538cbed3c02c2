import {
  activation,
  encoderHeads,
  field,
  flag,
  integer,
  listOf,
  only,
  positive,
  WIDTH,
} from '../../../../layers/config/index.js';
import { sideOfSquare } from '../config.js';

const COUNT = integer(1, 10_000);

/** SAM's encoder; defaults of transformers 5.24, GotOcr2VisionConfig. */
export const samFields = {
  hiddenSize: field('hidden_size', WIDTH, 768),
  intermediateSize: field('mlp_dim', WIDTH, 3072),
  outSize: field('output_channels', WIDTH, 256),
  numLayers: field('num_hidden_layers', COUNT, 12),
  numHeads: encoderHeads('num_attention_heads', 12),
  channels: field('num_channels', only(3), 3),
  imageSize: sideOfSquare('image_size', 1024),
  patchSize: sideOfSquare('patch_size', 16),
  hiddenAct: activation('hidden_act', 'gelu'),
  epsilon: field('layer_norm_eps', positive(1), 1e-6),
  qkvBias: field('qkv_bias', flag, true),
  hasPositions: field('use_abs_pos', only(true), true),
  hasDistances: field('use_rel_pos', only(true), true),
  windowSize: field('window_size', COUNT, 14),
  wholeLayers: field('global_attn_indexes', listOf(integer(0, 10_000), 'layers'), [2, 5, 8, 11]),
};
