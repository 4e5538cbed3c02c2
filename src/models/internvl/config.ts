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
  oneOf,
  only,
  positive,
  required,
  text,
  tokenField,
  WIDTH,
} from '../../layers/config/index.js';
import { aroundText, type TextDefaults, textWithin } from '../base/text-within.js';
import { besideText, dtypeBesideText, layersUpTo, sideOfSquare } from '../base/vision/index.js';

const COUNT = integer(1, 10_000);

/** Patches along a side of a block, which becomes one token: the sides of tiles are cut into whole ones. */
const mergeSize: Field<
  number,
  { readonly vision: { readonly imageSize: number; readonly patchSize: number } }
> = {
  read(json, { vision: { imageSize, patchSize } }) {
    const ratio = json.value('downsample_ratio', positive(1)) ?? 0.5;
    if (Number.isInteger(1 / ratio) && imageSize % (patchSize / ratio) === 0) return 1 / ratio;
    return json.fail(
      `downsample_ratio must be 1 / n and cut ${imageSize} pixels into blocks, found ${ratio}`,
    );
  },
};

/** Defaults: of hidden states and MLPs, of layers and heads, of the picture. */
type Sizes = readonly [hidden: number, mlp: number, layers: number, heads: number, image: number];

const sizes = ([hidden, mlp, layers, heads, image]: Sizes) => ({
  hiddenSize: field('hidden_size', WIDTH, hidden),
  intermediateSize: field('intermediate_size', WIDTH, mlp),
  numLayers: field('num_hidden_layers', COUNT, layers),
  numHeads: encoderHeads('num_attention_heads', heads),
  imageSize: sideOfSquare('image_size', image),
  patchSize: sideOfSquare('patch_size', 14),
  hiddenAct: activation('hidden_act', 'gelu'),
  epsilon: field('layer_norm_eps', positive(1), 1e-6),
  channels: field('num_channels', only(3), 3),
});

const TILES = integer(1, 100);

/** Keys of the published vision_config that no model without experts reads. */
const OF_TRAINING = [
  ...['capacity_factor', 'drop_path_rate', 'eval_capacity_factor', 'initializer_factor', 'laux_allreduce'],
  ...['moe_coeff_ratio', 'moe_intermediate_size', 'moe_output_scale', 'noisy_gate_policy', 'num_experts'],
  ...['num_routed_experts', 'num_shared_experts', 'shared_expert_intermediate_size', 'use_residual'],
  ...['use_rts', 'use_weighted_residual'],
];

/** Of its layers. */
export type InternvlNorm = 'layer_norm' | 'rms_norm';
const normType = (fallback: InternvlNorm): Field<InternvlNorm> =>
  field('norm_type', oneOf('layer_norm', 'rms_norm'), fallback);

/** What a class of the kind has where files are silent. */
interface InternvlDefaults {
  readonly texts: readonly TextDefaults[];
  readonly tieWordEmbeddings: boolean;
  readonly qkvBias: boolean;
}

/** Configurations as transformers writes them, with its defaults of InternVLConfig beside a class's own. */
export const internvlConfig = ({ texts, tieWordEmbeddings, qkvBias }: InternvlDefaults) =>
  aroundText(
    defineConfig({
      fields: {
        text: textWithin('text_config', ...texts),
        modelType: field('model_type', text, required),
        dtype: dtypeBesideText,
        tieWordEmbeddings: besideText('tie_word_embeddings', flag, tieWordEmbeddings),
        imageTokenId: tokenField('image_token_id', 151_667),
        computedLayers: layersUpTo('vision_feature_layer', -1),
        select: field('vision_feature_select_strategy', only('default'), 'default'),
        projectorAct: field('projector_hidden_act', only('gelu'), 'gelu'),
        mergeSize,
        vision: nested(
          'vision_config',
          {
            ...sizes([1024, 4096, 24, 16, 448]),
            qkvBias: field('attention_bias', flag, qkvBias),
            normsQk: field('use_qk_norm', flag, false),
            norm: normType('layer_norm'),
            hasPositions: field('use_absolute_position_embeddings', only(true), true),
            // Otherwise a norm would follow the last layer.
            poolsByMean: field('use_mean_pooling', only(true), true),
          },
          [
            ...['drop_path_rate', 'initializer_factor', 'layer_scale_init_value', 'projection_dropout'],
            'use_mask_token',
          ],
        ),
      },
      irrelevant: {
        image_seq_length: 'follows from the size of tiles',
        vocab_size: 'repeats that of text_config',
      },
    }),
  );

/** Defaults of transformers 5.24, InternVLConfig. */
export const INTERNVL_CONFIG = internvlConfig({ texts: [], tieWordEmbeddings: true, qkvBias: false });
export type InternvlConfig = ReturnType<(typeof INTERNVL_CONFIG)['read']>;

/** Defaults of the published configuration_internvl_chat.py and configuration_intern_vit.py. */
export const INTERNVL_CHAT_CONFIG = aroundText(
  defineConfig({
    fields: {
      text: textWithin('llm_config'),
      modelType: field('model_type', text, required),
      dtype: dtypeBesideText,
      computedLayers: layersUpTo('select_layer', -1),
      mergeSize,
      // The first version turns pictures by mistake, and is where the file says nothing.
      shuffle: field('ps_version', only('v2'), required),
      tileSize: field('force_image_size', COUNT, undefined),
      cutsTiles: field('dynamic_image_size', flag, false),
      minTiles: field('min_dynamic_patch', TILES, 1),
      maxTiles: field('max_dynamic_patch', TILES, 6),
      hasThumbnail: field('use_thumbnail', flag, false),
      vision: nested(
        'vision_config',
        {
          ...sizes([3200, 12_800, 48, 25, 224]),
          qkvBias: field('qkv_bias', flag, false),
          normsQk: field('qk_normalization', flag, true),
          norm: normType('rms_norm'),
          hasExperts: field('use_moe', only(false), false),
        },
        OF_TRAINING,
      ),
    },
    irrelevant: {
      ...keysBecause(
        'is used in training alone',
        'use_backbone_lora',
        'use_llm_lora',
        'pad2square',
        'image_fold',
      ),
      ...keysBecause('stands in the chat template', 'template', 'system_message'),
      ...keysBecause('repeats llm_config', 'hidden_size', 'vocab_size', 'tie_word_embeddings'),
    },
  }),
);
export type InternvlChatConfig = ReturnType<(typeof INTERNVL_CHAT_CONFIG)['read']>;
