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
import { axialTheta, besideText, dtypeBesideText, sideOfSquare } from '../base/vision/index.js';

const COUNT = integer(1, 10_000);

/** Of a square of learned positions along a side. */
const positionSide: Field<number> = {
  read(json) {
    const sides = ['height', 'width'].map((side) => {
      const names = [`pos_emb_${side}`, `init_pos_emb_${side}`];
      return field(names, COUNT, 64).read(json, {});
    });
    const [height = 64, width] = sides;
    return height === width ? height : json.fail(`positions must cover a square, found ${sides.join(' x ')}`);
  },
};

/** The tower, by the names of transformers 5.24 and by those of published files, with the defaults of Kimi_K25VisionConfig. */
const VISION = {
  patchSize: field('patch_size', COUNT, 14),
  hiddenSize: field(['hidden_size', 'vt_hidden_size'], WIDTH, 1152),
  intermediateSize: field(['intermediate_size', 'vt_intermediate_size'], WIDTH, 4304),
  numLayers: field(['num_hidden_layers', 'vt_num_hidden_layers'], COUNT, 27),
  numHeads: encoderHeads(['num_attention_heads', 'vt_num_attention_heads'], 16, { multiple: 4 }),
  hiddenAct: activation('hidden_act', 'gelu_tanh'),
  positionSide,
  /** Frames that are seen together, at most. */
  frames: field(['pos_emb_time', 'init_pos_emb_time'], COUNT, 4),
  mergeSize: sideOfSquare('merge_kernel_size', 2),
  theta: axialTheta,
  // What published files say beside.
  mergeType: field('merge_type', only('sd2_tpool'), 'sd2_tpool'),
  projectorType: field('mm_projector_type', only('patchmerger'), 'patchmerger'),
  positionType: field('pos_emb_type', only('divided_fixed'), 'divided_fixed'),
  attentionType: field('video_attn_type', only('spatial_temporal'), 'spatial_temporal'),
  projectorAct: field('projector_hidden_act', only('gelu'), 'gelu'),
  projectorEps: field('projector_ln_eps', positive(1), 1e-5),
};

const FIELDS = aroundText(
  defineConfig({
    fields: {
      text: textWithin('text_config', { model_type: 'deepseek_v3' }),
      modelType: field('model_type', text, required),
      dtype: dtypeBesideText,
      tieWordEmbeddings: besideText('tie_word_embeddings', flag, true),
      imageTokenId: tokenField(['media_placeholder_token_id', 'image_token_id'], 163_605),
      /** Behind the last word's in files of transformers. */
      videoTokenId: tokenField('video_token_id', undefined),
      projectorEps: field('projection_layer_norm_eps', positive(1), undefined),
      vision: nested('vision_config', VISION, ['mm_hidden_size', 'text_hidden_size']),
    },
    irrelevant: {
      ...keysBecause('stands in the chat template', 'vision_start_token_id', 'vision_end_token_id'),
      ...keysBecause('is what processors know', 'use_unified_vision_chunk', 'video_placeholder'),
      ignore_index: 'is used in training alone',
      ...keysBecause('is read of text_config', 'bos_token_id', 'eos_token_id', 'pad_token_id'),
      projection_hidden_size: 'is the size of rows of the tower',
    },
  }),
);

/** Kimi-K2.5 as transformers 5.24 writes it, Kimi_K25Config, and as it is published. */
export const KIMI_K25_CONFIG = {
  read(dict: Readonly<Record<string, unknown>>) {
    const { vision, projectorEps = vision.projectorEps, ...config } = FIELDS.read(dict);
    return { ...config, projectorEps, vision };
  },
};
export type KimiK25Config = ReturnType<(typeof KIMI_K25_CONFIG)['read']>;
