import {
  activation,
  constant,
  defineConfig,
  encoderHeads,
  type Field,
  field,
  flag,
  integer,
  nested,
  only,
  positive,
  required,
  text,
  tokenField,
  WIDTH,
} from '../../layers/config/index.js';
import { LLAMA_7B } from '../base/llava/index.js';
import { aroundText, type TextWithin, textWithin } from '../base/text-within.js';
import { dtypeBesideText, sideOfSquare } from '../base/vision/index.js';

const COUNT = integer(1, 10_000);

/** The MLPs' width is so many times that of rows, rounded down. */
const innerSize: Field<number, { readonly hiddenSize: number }> = {
  read: (json, { hiddenSize }) => Math.floor(hiddenSize * (json.value('mlp_ratio', positive(1000)) ?? 4)),
};

/** Two linears of this width, of which the second gives what stands in the place of words. */
const aligned: Field<number, { readonly text: TextWithin }> = {
  read(json, { text: { hiddenSize } }) {
    const found = json.section('vision_config')?.value('projection_dim', WIDTH) ?? 2048;
    if (found === hiddenSize) return found;
    return json.fail(
      `vision_config.projection_dim must be hidden_size of text_config (${hiddenSize}), found ${found}`,
    );
  },
};

/** Defaults of transformers 5.24, JanusConfig and JanusVisionConfig. */
export const JANUS_CONFIG = aroundText(
  defineConfig({
    fields: {
      text: textWithin('text_config', LLAMA_7B),
      modelType: field('model_type', text, required),
      dtype: dtypeBesideText,
      tieWordEmbeddings: field('tie_word_embeddings', flag, true),
      imageTokenId: tokenField('image_token_id', 100_581),
      aligned,
      vision: nested(
        'vision_config',
        {
          hiddenSize: field('hidden_size', WIDTH, 1024),
          intermediateSize: innerSize,
          numLayers: field('num_hidden_layers', COUNT, 24),
          numHeads: encoderHeads('num_attention_heads', 16),
          imageSize: sideOfSquare('image_size', 384),
          patchSize: sideOfSquare('patch_size', 16),
          channels: field('num_channels', only(3), 3),
          layerNormEps: field('layer_norm_eps', positive(1), 1e-6),
          hiddenAct: activation('hidden_act', 'gelu'),
          qkvBias: field('attention_bias', flag, true),
          normsHeads: field('use_qk_norm', only(false), false),
          linears: field('depth', only(2), 2),
          kind: constant('janus_vision_model' as const),
        },
        ['projection_dim', 'num_image_tokens', 'hidden_dropout_rate', 'projection_dropout'],
      ),
    },
    irrelevant: { vq_config: 'is of pictures that it draws: it answers in text alone here' },
  }),
);
export type JanusConfig = ReturnType<(typeof JANUS_CONFIG)['read']>;
