import {
  activation,
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
} from '../../../layers/config/index.js';
import { type TextDefaults, textWithin } from '../text-within.js';
import {
  deepestTaken,
  dtypeBesideText,
  layersTaken,
  type SiglipDefaults,
  siglipFields,
  tiedAnywhere,
} from '../vision/index.js';

const COUNT = integer(1, 10_000);

/** `vision_config` of CLIP's encoder, with the defaults of the families of LLaVA in transformers 5.24. */
export const clipVision = nested(
  'vision_config',
  {
    hiddenSize: field('hidden_size', WIDTH, 1024),
    intermediateSize: field('intermediate_size', WIDTH, 4096),
    numLayers: field('num_hidden_layers', COUNT, 24),
    numHeads: encoderHeads('num_attention_heads', 16),
    imageSize: field('image_size', COUNT, 336),
    patchSize: field('patch_size', COUNT, 14),
    channels: field('num_channels', only(3), 3),
    layerNormEps: field('layer_norm_eps', positive(1), 1e-5),
    hiddenAct: activation('hidden_act', 'quick_gelu'),
    kind: field('model_type', only('clip_vision_model'), 'clip_vision_model'),
  },
  ['projection_dim', 'initializer_factor', 'vocab_size'],
);

/** The same of SigLIP's, with the defaults of SiglipVisionConfig, or of a family's class. */
export const siglipVision = (defaults: Omit<SiglipDefaults, 'kinds'> = {}) =>
  nested('vision_config', siglipFields({ ...defaults, kinds: ['siglip_vision_model'] }), [
    'vision_use_head',
    'projection_dim',
    'vocab_size',
  ]);

/** What each kind of encoder has, beside its name. */
type OneOfKinds<K extends Readonly<Record<string, Field<object>>>> = {
  [kind in keyof K]: K[kind] extends Field<infer V> ? Omit<V, 'kind'> & { readonly kind: kind } : never;
}[keyof K];

/** `vision_config` as the family reads it that its `model_type` names; `fallback` where it names none. */
export const visionOf = <K extends Readonly<Record<string, Field<object>>>>(
  fallback: keyof K & string,
  kinds: K,
): Field<OneOfKinds<K>> => ({
  read(json) {
    const kind = json.section('vision_config')?.value('model_type', oneOf(...Object.keys(kinds))) ?? fallback;
    return { ...kinds[kind]?.read(json, {}), kind } as OneOfKinds<K>;
  },
});

/** Whether the row that stands for a picture, which SigLIP does not have, becomes a token as well. */
const selected = (
  fallback: 'default' | 'full',
): Field<'default' | 'full', { readonly vision: { readonly kind: string } }> => ({
  read(json, { vision: { kind } }) {
    const name = 'vision_feature_select_strategy';
    const found = json.value(name, oneOf('default', 'full')) ?? fallback;
    if (found === 'full' || kind === 'clip_vision_model') return found;
    return json.fail(`${name} must be "full" where no row stands for a picture (${kind}), found "${found}"`);
  },
});

/** The same where rows are put together by their places in a picture: that which stands for it has none. */
export const patchesAlone = (
  fallback: 'default' | 'full',
): Field<'default' | 'full', { readonly vision: { readonly kind: string } }> => ({
  read(json, { vision }) {
    const name = 'vision_feature_select_strategy';
    const found = selected(fallback).read(json, { vision });
    if (found === 'default' || vision.kind !== 'clip_vision_model') return found;
    return json.fail(
      `${name} must be "default": the row that stands for a picture has no place, found "full"`,
    );
  },
});

/** Where the families of LLaVA differ. */
export interface LlavaDefaults<V> {
  readonly vision: Field<V>;
  /** Of text, where files leave out what its class says; the first is that of files that do not name its kind. */
  readonly texts: readonly TextDefaults[];
  readonly imageTokenId: number;
  readonly featureLayer: number;
  readonly select: 'default' | 'full';
}

/** What all families of LLaVA have in common: text, an encoder one of whose layers is taken, and two linears. */
export const llavaFields = <V extends { readonly kind: string; readonly numLayers: number }>({
  vision,
  texts,
  imageTokenId,
  featureLayer,
  select,
}: LlavaDefaults<V>) => ({
  text: textWithin('text_config', ...texts),
  modelType: field('model_type', text, required),
  dtype: dtypeBesideText,
  tieWordEmbeddings: tiedAnywhere,
  imageTokenId: tokenField(['image_token_index', 'image_token_id'], imageTokenId),
  takenLayers: layersTaken(['vision_feature_layer'], [featureLayer]),
  computedLayers: deepestTaken,
  select: selected(select),
  projectorAct: activation('projector_hidden_act', 'gelu'),
  projectorBias: field('multimodal_projector_bias', flag, true),
  vision,
});

/** Keys that change nothing in any of them. */
export const LLAVA_IRRELEVANT: Readonly<Record<string, string>> = {
  image_seq_length: 'follows from the size of pictures',
  ignore_index: 'is used in training alone',
  vocab_size: 'repeats that of text_config',
  pad_token_id: 'is read of text_config',
};

/**
 * Of LlamaConfig, GraniteConfig, MistralConfig and Qwen2Config in transformers 5.24, from which files of text of these kinds differ.
 */
export const LLAMA_7B = {
  model_type: 'llama',
  hidden_size: 4096,
  num_hidden_layers: 32,
  num_attention_heads: 32,
  intermediate_size: 11_008,
  vocab_size: 32_000,
  max_position_embeddings: 2048,
} as const;
export const GRANITE_8B = { ...LLAMA_7B, model_type: 'granite' } as const;
export const MISTRAL_7B = {
  ...LLAMA_7B,
  model_type: 'mistral',
  intermediate_size: 14_336,
  max_position_embeddings: 131_072,
} as const;
export const QWEN2_7B = {
  ...LLAMA_7B,
  model_type: 'qwen2',
  intermediate_size: 22_016,
  vocab_size: 151_936,
  max_position_embeddings: 32_768,
} as const;
