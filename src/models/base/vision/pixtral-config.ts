import {
  activation,
  encoderHeads,
  type Field,
  field,
  integer,
  nested,
  only,
  positive,
  WIDTH,
} from '../../../layers/config/index.js';
import { axialTheta } from './config.js';

const COUNT = integer(1, 10_000);

/** The base of positions of two axes: files before transformers 5 have it beside the others. */
const theta: Field<number> = {
  read: (json) => json.value('rope_theta', positive(1e12)) ?? axialTheta.read(json, {}),
};

/** `vision_config` of Pixtral's encoder; defaults of transformers 5.24, PixtralVisionConfig. */
export const pixtralVision = nested(
  'vision_config',
  {
    hiddenSize: field('hidden_size', WIDTH, 1024),
    intermediateSize: field('intermediate_size', WIDTH, 4096),
    numLayers: field('num_hidden_layers', COUNT, 24),
    numHeads: encoderHeads('num_attention_heads', 16, { multiple: 4 }),
    patchSize: field('patch_size', COUNT, 16),
    channels: field('num_channels', only(3), 3),
    hiddenAct: activation('hidden_act', 'gelu'),
    kind: field('model_type', only('pixtral'), 'pixtral'),
    theta,
  },
  ['head_dim', 'image_size', 'vocab_size'],
);
export type PixtralVision = typeof pixtralVision extends Field<infer V, never> ? V : never;
