import {
  activation,
  type ConfigDict,
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
import { dtypeBesideText } from '../base/vision/index.js';

const COUNT = integer(1, 10_000);

/** Of an MLP: so many times what goes into it. */
const mlpWidth: Field<number, { readonly hiddenSize: number }> = {
  read: (json, { hiddenSize }) => Math.trunc(hiddenSize * (json.value('mlp_ratio', positive(100)) ?? 4)),
};

/** RADIO; defaults of transformers 5.24, RadioConfig. */
const RADIO = nested(
  'vision_config',
  {
    hiddenSize: field('hidden_size', WIDTH, 1280),
    intermediateSize: mlpWidth,
    numLayers: field('num_hidden_layers', COUNT, 32),
    numHeads: encoderHeads('num_attention_heads', 16),
    hiddenAct: activation('hidden_act', 'gelu'),
    epsilon: field('layer_norm_eps', positive(1), 1e-6),
    isGated: field('use_swiglu_ffn', only(false), false),
    qkvBias: field('qkv_bias', flag, true),
    channels: field('num_channels', only(3), 3),
    patchSize: field('patch_size', COUNT, 16),
    /** Pixels along a side of a square for which there are positions. */
    largest: field('max_img_size', COUNT, 2048),
    classRows: field('num_cls_tokens', integer(0, 1000), 3),
    registers: field('num_registers', integer(0, 1000), 7),
    framesOfPatch: field('video_temporal_patch_size', integer(2, 100), 2),
  },
  [
    ...['image_size', 'layerscale_value', 'norm_mean', 'norm_std', 'summary_idxs', 'drop_path_rate'],
    ...['patch_dim', 'video_patch_dim', 'is_encoder_decoder', 'chunk_size_feed_forward'],
    // What published files say, beside the name of the encoder whose sizes are the class's.
    ...['version', 'min_num_patches', 'max_num_patches', 'max_resolution', 'separate_video_embedder'],
  ],
);

/** Defaults of transformers 5.24, NemotronH_Omni_Reasoning_V3_Config; names of published files beside its own. */
const omniConfig = (section: string) =>
  aroundText(
    defineConfig({
      fields: {
        text: textWithin(section, { model_type: 'nemotron_h' }),
        modelType: field('model_type', text, required),
        dtype: dtypeBesideText,
        tieWordEmbeddings: field('tie_word_embeddings', flag, false),
        imageTokenId: tokenField(['image_token_id', 'img_context_token_id'], undefined),
        // A block of 2 x 2 patches becomes a token.
        ratio: field('downsample_ratio', only(0.5), 0.5),
        projectorSize: field('projector_hidden_size', WIDTH, 4096),
        framesOfPatch: field('video_temporal_patch_size', integer(2, 100), 2),
        pruning: field('video_pruning_rate', only(0), 0),
        vision: RADIO,
      },
      irrelevant: {
        ...keysBecause('is the size of rows of vision_config', 'vision_hidden_size', 'vit_hidden_size'),
        ...keysBecause('is about sound, which is not built', 'audio_config', 'sound_config'),
        ...keysBecause('is about sound, which is not built', 'audio_token_id', 'sound_context_token_id'),
        ...keysBecause('stands in no prompt', 'video_token_id', 'video_context_token_id'),
        ...keysBecause('is what processors know', 'patch_size', 'norm_mean', 'norm_std', 'use_thumbnail'),
        ...keysBecause('is what processors know', 'img_context_token', 'img_start_token', 'img_end_token'),
        ...keysBecause('is what processors know', 'sound_context_token', 'max_sequence_length'),
        force_image_size: 'pictures come in their own shapes',
      },
    }),
  );

/** What files call the part that is about text. */
export const NEMOTRON_H_OMNI_CONFIG = {
  read: (dict: ConfigDict) => omniConfig('llm_config' in dict ? 'llm_config' : 'text_config').read(dict),
};
export type NemotronHOmniConfig = ReturnType<(typeof NEMOTRON_H_OMNI_CONFIG)['read']>;
