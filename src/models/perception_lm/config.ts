import {
  defineConfig,
  encoderHeads,
  type Field,
  field,
  flag,
  integer,
  nested,
  oneOf,
  only,
  positive,
  required,
  text,
  tokenField,
  WIDTH,
} from '../../layers/config/index.js';
import { LLAMA_7B } from '../base/llava/index.js';
import { aroundText, textWithin } from '../base/text-within.js';
import { besideText, dtypeBesideText, sideOfSquare } from '../base/vision/index.js';

const COUNT = integer(1, 10_000);

/** Sizes of Perception Encoders, which timm knows by these names. */
const ARCHITECTURES = {
  vit_pe_lang_large_patch14_448: { width: 1024, depth: 23, ratio: 4, hasFirst: true },
  vit_pe_lang_gigantic_patch14_448: { width: 1536, depth: 47, ratio: 8960 / 1536, hasFirst: false },
} as const;
type Architecture = keyof typeof ARCHITECTURES;
const NAMES = Object.keys(ARCHITECTURES) as [Architecture, Architecture];

const tower = (sizes: (typeof ARCHITECTURES)[Architecture]) =>
  nested(
    'model_args',
    {
      hiddenSize: field('embed_dim', WIDTH, sizes.width),
      numLayers: field('depth', COUNT, sizes.depth),
      numHeads: encoderHeads('num_heads', 16, { width: 'embed_dim', multiple: 4 }),
      imageSize: sideOfSquare('img_size', 448),
      patchSize: field('patch_size', COUNT, 14),
      mlpRatio: field('mlp_ratio', positive(1000), sizes.ratio),
      /** Whether a row that is no patch comes before those of each picture. */
      hasFirst: field('class_token', flag, sizes.hasFirst),
      /** Of the square by which positions are counted. */
      countedSide: sideOfSquare('ref_feat_shape', 32),
      endsInNorm: field('use_post_transformer_norm', only(false), false),
    },
    // Where layers' factors begin in training, and what is made of all rows, which nobody reads.
    ['init_values', 'global_pool'],
  );

/** A Perception Encoder as timm describes it, within what transformers 5.24 calls a timm_wrapper. */
const vision = nested(
  'vision_config',
  {
    kind: field('model_type', only('timm_wrapper'), 'timm_wrapper'),
    sizes: {
      read(json) {
        const name = json.value('architecture', oneOf(...NAMES)) ?? json.missing('architecture');
        const { mlpRatio, countedSide, ...found } = tower(ARCHITECTURES[name]).read(json, {});
        const { hiddenSize, imageSize, patchSize } = found;
        const side = Math.floor(imageSize / patchSize);
        if (countedSide !== side)
          json.problem(
            `model_args.ref_feat_shape must be that of ${side} patches a side, found ${countedSide}`,
          );
        return { ...found, intermediateSize: Math.trunc(hiddenSize * mlpRatio) };
      },
    } satisfies Field<object>,
  },
  ['label_names', 'num_classes', 'do_pooling', 'global_pool', 'num_features', 'pretrained_cfg'],
);

/** Patches along a side of a block, whose mean becomes a token. */
const mergeSize: Field<
  number,
  { readonly vision: { readonly sizes: { readonly imageSize: number; readonly patchSize: number } } }
> = {
  read(json, { vision: { sizes } }) {
    const found = json.value('projector_pooling_ratio', COUNT) ?? 1;
    const side = Math.floor(sizes.imageSize / sizes.patchSize);
    if (side % found === 0) return found;
    return json.fail(
      `projector_pooling_ratio must cut ${side} patches a side into whole blocks, found ${found}`,
    );
  },
};

/** The encoder has a row before those of pictures where this says that it is left out. */
const leavesOutFirst: Field<
  boolean,
  { readonly vision: { readonly sizes: { readonly hasFirst: boolean } } }
> = {
  read(json, { vision: { sizes } }) {
    const found = json.value('vision_use_cls_token', flag) ?? true;
    if (found === sizes.hasFirst) return found;
    return json.fail(`vision_use_cls_token must be ${sizes.hasFirst}, as the encoder has it, found ${found}`);
  },
};

/** Defaults of transformers 5.24, PerceptionLMConfig. */
export const PERCEPTION_LM_CONFIG = aroundText(
  defineConfig({
    fields: {
      text: textWithin('text_config', LLAMA_7B),
      modelType: field('model_type', text, required),
      dtype: dtypeBesideText,
      tieWordEmbeddings: besideText('tie_word_embeddings', flag, false),
      imageTokenId: tokenField('image_token_id', 128_002),
      videoTokenId: tokenField('video_token_id', 128_003),
      vision,
      leavesOutFirst,
      mergeSize,
    },
    irrelevant: {},
  }),
);
export type PerceptionLMConfig = ReturnType<(typeof PERCEPTION_LM_CONFIG)['read']>;
export type PerceptionVision = PerceptionLMConfig['vision']['sizes'];
