import { defineConfig, type Field, field, oneOf, required, text, WIDTH } from '../../layers/config/index.js';
import type { PictureSize } from '../../media/index.js';
import {
  canvasesOr,
  clipVision,
  isOfPictures,
  PUBLISHED_IRRELEVANT,
  publishedFields,
} from '../base/llava/index.js';
import { aroundText, type TextWithin, textAmong } from '../base/text-within.js';
import { deepestTaken, layersTaken } from '../base/vision/index.js';

/** Sizes of CLIP's large encoder, as its own files say them. */
const CLIP_LARGE = {
  ...{ hiddenSize: 1024, intermediateSize: 4096, numLayers: 24, numHeads: 16, patchSize: 14, channels: 3 },
  ...({ layerNormEps: 1e-5, hiddenAct: 'quick_gelu' } as const),
};
type ClipVision = Omit<ReturnType<(typeof clipVision)['read']>, 'kind'> & {
  readonly kind: 'clip_vision_model';
};

/** The encoder that `mm_vision_tower` names, or as an object of config.json describes it. */
const vision: Field<ClipVision> = {
  read(json) {
    const tower = json.value('mm_vision_tower', text) ?? json.missing('mm_vision_tower');
    const kind = 'clip_vision_model';
    if (json.section('vision_config')) return { ...clipVision.read(json, {}), kind };
    const [named, side] = /clip-vit-large-patch14(-336)?$/.exec(tower) ?? [];
    if (named !== undefined) return { ...CLIP_LARGE, kind, imageSize: side === undefined ? 224 : 336 };
    return json.fail(
      `mm_vision_tower must end in clip-vit-large-patch14 or clip-vit-large-patch14-336, found "${tower}": of another ` +
        'encoder config.json must have the vision_config of CLIP',
    );
  },
};

/** Text of Llama or Mistral, as the model_type says. */
const textOf: Field<TextWithin> = {
  read(json, config) {
    if ('llm_cfg' in json.dict)
      json.fail('llm_cfg is that of VILA, whose checkpoints are three folders: these are not read');
    const kind = json.raw('model_type') === 'llava_mistral' ? 'mistral' : 'llama';
    return textAmong(kind, isOfPictures).read(json, config);
  },
};

/** How pictures are seen: as tiles of canvases, of which rows are put together by their places, or as one square. */
const aspect: Field<'anyres' | 'pad' | 'square'> = {
  read(json) {
    const found = json.value('image_aspect_ratio', oneOf('anyres', 'pad', 'square')) ?? 'square';
    const merge = json.value('mm_patch_merge_type', oneOf('flat', 'spatial_unpad')) ?? 'flat';
    if ((found === 'anyres') === (merge === 'spatial_unpad')) return found;
    return json.fail(
      `mm_patch_merge_type must be "spatial_unpad" with image_aspect_ratio "anyres", else "flat", found "${merge}"`,
    );
  },
};

/** Sizes of canvases, of which these files have the width first. */
const canvases: Field<
  readonly PictureSize[],
  { readonly aspect: string; readonly vision: { readonly imageSize: number } }
> = {
  read(json, { aspect: seen, vision: { imageSize } }) {
    if (seen === 'anyres' && !json.isAbsent('image_grid_pinpoints'))
      return canvasesOr([])
        .read(json, { vision: { imageSize } })
        .map(({ height, width }) => ({ height: width, width: height }));
    json.raw('image_grid_pinpoints');
    return seen === 'anyres' ? json.missing('image_grid_pinpoints') : [];
  },
};

/** LLaVA 1.5 and 1.6 as they were published, with code of their own (LlavaLlamaForCausalLM, LlavaMistralForCausalLM). */
export const LLAVA_LLAMA_CONFIG = aroundText(
  defineConfig({
    fields: {
      text: textOf,
      modelType: field('model_type', text, required),
      // As that of the text.
      dtype: { read: () => undefined },
      vision,
      rowSize: {
        read(json, { vision: { hiddenSize } }) {
          const found = json.value('mm_hidden_size', WIDTH) ?? hiddenSize;
          if (found === hiddenSize) return found;
          return json.fail(`mm_hidden_size must be ${hiddenSize}, that of mm_vision_tower, found ${found}`);
        },
      } satisfies Field<number, { readonly vision: ClipVision }>,
      aspect,
      canvases,
      ...publishedFields,
      takenLayers: layersTaken(['mm_vision_select_layer'], [-2]),
      computedLayers: deepestTaken,
      select: {
        read(json, { aspect: seen }) {
          const name = 'mm_vision_select_feature';
          const found = json.value(name, oneOf('patch', 'cls_patch')) ?? 'patch';
          if (found === 'patch') return 'default';
          if (seen !== 'anyres') return 'full';
          return json.fail(`${name} must be "patch" with image_aspect_ratio "anyres", found "${found}"`);
        },
      } satisfies Field<'default' | 'full', { readonly aspect: string }>,
    },
    irrelevant: PUBLISHED_IRRELEVANT,
  }),
);
export type LlavaLlamaConfig = ReturnType<(typeof LLAVA_LLAMA_CONFIG)['read']>;
