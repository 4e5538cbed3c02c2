import {
  type ConfigReader,
  defineConfig,
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
  text,
  tokenField,
  within,
} from '../../layers/config/index.js';
import { canvasesOr, GRANITE_8B, patchesAlone, siglipVision } from '../base/llava/index.js';
import { Q_FORMER, Q_FORMER_PASSED, type QFormerConfig } from '../base/q-former.js';
import { aroundText, textWithin } from '../base/text-within.js';
import { besideText, dtypeBesideText, layersBefore, tokensBesideText } from '../base/vision/index.js';
import { NEXT_CANVASES } from '../llava_next/index.js';

/** Queries see rows of one square window, of whose blocks each stands for one. */
export interface Windows {
  /** Queries and rows along a side of a window. */
  readonly querySide: number;
  readonly windowSide: number;
}

/** "4/8": 4 x 4 queries for each window of 8 x 8 rows. */
const windows: Field<
  Windows,
  { readonly vision: { readonly imageSize: number; readonly patchSize: number } }
> = {
  read(json, { vision: { imageSize, patchSize } }) {
    const rate = json.value('downsample_rate', text) ?? json.missing('downsample_rate');
    const [, queries, rows] = /^([1-9]\d{0,2})\/([1-9]\d{0,2})$/.exec(rate) ?? [];
    const [querySide, windowSide] = [Number(queries), Number(rows)];
    const side = Math.floor(imageSize / patchSize);
    if (windowSide % querySide === 0 && side % windowSide === 0) return { querySide, windowSide };
    return json.fail(
      `downsample_rate must be two sides, as "4/8", of which the first divides the second, and that one ${side} patches, found "${rate}"`,
    );
  },
};

/** What is added to tokens of pictures before a layer of text. */
export interface Level {
  readonly textLayer: number;
  /** So many layers of the encoder lie before what it is made of. */
  readonly depth: number;
  /** Which row of each block of 2 x 2 queries begin with, line by line; their mean when absent. */
  readonly corner?: number;
  /** Of the projector in the checkpoint. */
  readonly name: string;
}

const LAYER = integer(-1000, 1000);
const PAIRS = listOf(listOf(LAYER, 'layers'), 'pairs of layers');
const CORNERS = 4;

interface Layers {
  readonly text: { readonly numHiddenLayers: number };
  readonly vision: { readonly numLayers: number };
  readonly windows: Windows;
}

/** By layers of text, the first ones first. */
const levels: Field<readonly Level[], Layers> = {
  read(json, { text: { numHiddenLayers }, vision: { numLayers }, windows: { querySide, windowSide } }) {
    const depthOf = (name: string, given: number): number => layersBefore(json, name, given, -1, numLayers);
    const pairs = json.value('deepstack_layer_map', PAIRS) ?? json.missing('deepstack_layer_map');
    const ofLayers = pairs.map(([seen = 0, textLayer = -1, ...more], index): Level => {
      if (more.length > 0) json.problem('deepstack_layer_map must be a list of pairs of layers');
      const name = `layerwise_projectors.${index}`;
      return { textLayer, depth: depthOf('deepstack_layer_map', seen), name };
    });
    const depth = depthOf('spatial_vision_layer', json.value('spatial_vision_layer', LAYER) ?? -1);
    const targets = json.value('spatial_target_layers', listOf(LAYER, 'layers')) ?? [12, 15, 18, 21];
    if (targets.length > CORNERS)
      json.problem(`spatial_target_layers must be at most ${CORNERS}, found ${targets.length}`);
    if (targets.length > 0 && windowSide !== 2 * querySide)
      json.problem(`downsample_rate must be a half where there are spatial_target_layers`);
    const ofCorners = targets.map((textLayer, corner): Level => {
      return { textLayer, depth, corner, name: `spatial_projectors.${corner}` };
    });
    const all = [...ofLayers, ...ofCorners].toSorted((a, b) => a.textLayer - b.textLayer);
    const isRight = ({ textLayer, depth: before }: Level, at: number): boolean =>
      before > 0 && textLayer < numHiddenLayers && textLayer > (all[at - 1]?.textLayer ?? -1);
    if (all.length > 0 && all.every(isRight)) return all;
    return json.fail(
      `deepstack_layer_map and spatial_target_layers must name different ones of ${numHiddenLayers} layers of text, ` +
        `and layers of the encoder, found ${all.map(({ textLayer }) => textLayer)}`,
    );
  },
};

/** Their width and heads, and what they look at, the class takes of the encoder, whatever the file says. */
const qFormer: Field<QFormerConfig, { readonly vision: { readonly hiddenSize: number } }> = {
  read(json, { vision: { hiddenSize } }) {
    const passed = [...Q_FORMER_PASSED, 'hidden_size', 'num_attention_heads', 'encoder_hidden_size'];
    // What the class has where the file says nothing of it.
    const found = json.section('qformer_config')
      ? nested('qformer_config', Q_FORMER, passed).read(json, {})
      : ({
          numLayers: 1,
          intermediateSize: 3072,
          hiddenAct: 'gelu',
          layerNormEps: 1e-12,
          seesEvery: 1,
        } as const);
    if (hiddenSize % HEAD === 0)
      return { ...found, hiddenSize, numHeads: hiddenSize / HEAD, seenSize: hiddenSize };
    return json.fail(`vision_config.hidden_size must be a multiple of ${HEAD}, found ${hiddenSize}`);
  },
};

/** Of a head of queries. */
const HEAD = 64;
const FACTOR = positive(1e6);

/** Defaults of transformers 5.24, Granite4VisionConfig and Granite4VisionTextConfig. */
export const GRANITE4_VISION_CONFIG = aroundText(
  defineConfig({
    fields: {
      text: textWithin('text_config', GRANITE_8B),
      ...within('text_config', {
        textType: field('model_type', oneOf('granite4_vision_text', 'granite'), 'granite'),
        logitsScaling: field('logits_scaling', FACTOR, 1),
      }),
      modelType: field('model_type', text, required),
      dtype: dtypeBesideText,
      tieWordEmbeddings: besideText('tie_word_embeddings', flag, false),
      eosTokenIds: {
        read: (json: ConfigReader, { text: of }: { readonly text: { readonly vocabSize: number } }) =>
          tokensBesideText('eos_token_id').read(json, of),
      },
      imageTokenId: tokenField(['image_token_index', 'image_token_id'], 32_000),
      vision: siglipVision(),
      select: patchesAlone('default'),
      canvases: canvasesOr(NEXT_CANVASES),
      windows,
      levels,
      qFormer,
      deepLevels: {
        read: (_json: ConfigReader, { levels: all }: { readonly levels: readonly Level[] }) =>
          all.flatMap(({ textLayer }) => (textLayer > 0 ? [textLayer - 1] : [])),
      },
      takesCorners: field('use_spatial_sampling', only(true), true),
      cornerStep: field('spatial_stride', only(2), 2),
      hasAdapter: field('has_lora_adapter', only(false), false),
    },
    irrelevant: {
      ...keysBecause('is not read: deepstack_layer_map names layers', 'vision_feature_layer'),
      ...keysBecause('is of training', 'projector_dropout'),
      ...keysBecause(
        'is not read by Granite4VisionConfig',
        'projector_hidden_act',
        'use_image_newline_parameter',
      ),
      image_seq_length: 'follows from the size of pictures',
      vocab_size: 'repeats that of text_config',
      pad_token_id: 'is read of text_config',
    },
  }),
);
export type Granite4VisionConfig = ReturnType<(typeof GRANITE4_VISION_CONFIG)['read']>;
