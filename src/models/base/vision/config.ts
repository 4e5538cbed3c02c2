import {
  activation,
  biases,
  type Check,
  decoder,
  encoderHeads,
  type Field,
  field,
  flag,
  integer,
  listOf,
  mropeSections,
  oneOf,
  only,
  positive,
  required,
  slidingByLayer,
  text,
  textModel,
  tokenField,
  tokensField,
  WIDTH,
  within,
} from '../../../layers/config/index.js';
import type { TextWithin } from '../text-within.js';

const COUNT = integer(1, 10_000);

/**
 * The base of an axial rotary embedding; one of another type is none, files of transformers 5.0 call it the default.
 */
export const axialThetaOr = (fallback: number): Field<number> => ({
  read(json) {
    const section = json.section('rope_parameters');
    section?.value('rope_type', oneOf('axial', 'default'));
    return section?.value('rope_theta', positive(1e12)) ?? fallback;
  },
});

/** The same where files before transformers 5 do not mention it. */
export const axialTheta = axialThetaOr(10_000);

/** A key of config.json itself, or else of its text_config. */
export const besideText = <T, D>(name: string, check: Check<T>, fallback: D): Field<T | D> => ({
  read(json) {
    const ofText = json.section('text_config')?.value(name, check);
    return json.value(name, check) ?? ofText ?? fallback;
  },
});

/** Embedding and head are one where the file says so, for the whole or for the text within. */
export const tiedAnywhere: Field<boolean> = {
  read(json) {
    const own = json.value('tie_word_embeddings', flag) ?? false;
    return json.section('text_config')?.value('tie_word_embeddings', flag) || own;
  },
};

/** Of keys and values: each is that of as many heads of queries, whose number `heads` says. */
export const dividingHeads = (
  heads: string,
  fallback: number,
): Field<number, { readonly numHeads: number }> => ({
  read(json, { numHeads }) {
    const found = json.value('num_key_value_heads', COUNT) ?? fallback;
    if (numHeads % found === 0) return found;
    return json.fail(`num_key_value_heads must divide ${heads} (${numHeads}), found ${found}`);
  },
});

/** A side of a square: a number, or its height and width. */
export const sideOfSquare = (name: string, fallback: number): Field<number> => ({
  read(json) {
    if (!Array.isArray(json.raw(name))) return json.value(name, COUNT) ?? fallback;
    const [height, width] = json.value(name, listOf(COUNT, 'two sizes')) ?? [];
    return height !== undefined && height === width ? height : json.fail(`${name} must be that of a square`);
  },
});

/** Token ids under a key of config.json itself, or else of its text_config. */
export const tokensBesideText = (name: string): Field<readonly number[], { readonly vocabSize: number }> => ({
  read(json, config) {
    const [own, section] = [tokensField(name, []).read(json, config), json.section('text_config')];
    const ofText = section ? tokensField(name, []).read(section, config) : [];
    return own.length > 0 ? own : ofText;
  },
});

/** The tokens that end a text: those of config.json itself, or else of the model of text within it. */
export const endsBesideText: Field<readonly number[], { readonly text: TextWithin }> = {
  read: (json, { text: within }) => tokensBesideText('eos_token_id').read(json, within),
};

const { dtype } = textModel({ tieWordEmbeddings: false });

/** `dtype` of config.json itself, or else of its text_config. */
export const dtypeBesideText: typeof dtype = {
  read(json, config) {
    const section = json.section('text_config');
    const ofText = section && dtype.read(section, config);
    return dtype.read(json, config) ?? ofText;
  },
};

/** What text and vision have in common in all of the family; `theta` is that of text. */
export const textFields = (theta: number) => ({
  ...within('text_config', {
    ...decoder({
      numKeyValueHeads: 8,
      headDim: 'hidden_size / num_attention_heads',
      hiddenAct: 'silu',
      rmsNormEps: 1e-5,
      ropeTheta: theta,
      tieWordEmbeddings: false,
    }),
    ...biases({ qkv: true, dense: false, mlp: false }),
    slidingWindows: slidingByLayer<{ readonly numHiddenLayers: number }>({
      useSlidingWindow: false,
      window: 4096,
      maxWindowLayers: 80,
    }),
    sections: mropeSections,
  }),
  modelType: field('model_type', text, required),
  dtype: dtypeBesideText,
  tieWordEmbeddings: besideText('tie_word_embeddings', flag, false),
  imageTokenId: tokenField('image_token_id', 151_655),
  videoTokenId: tokenField('video_token_id', 151_656),
});

/** Keys that say what templates and processors know by themselves. */
export const TOKENS_OF_TEMPLATES: Readonly<Record<string, string>> = {
  vision_start_token_id: 'stands in the chat template',
  vision_end_token_id: 'stands in the chat template',
  vision_token_id: 'stands in the chat template',
};

/** Where a class of SigLIP's encoder differs from transformers 5.24, SiglipVisionConfig. */
export interface SiglipDefaults {
  readonly kinds: readonly [string, ...string[]];
  readonly hiddenSize?: number;
  readonly intermediateSize?: number;
  readonly numLayers?: number;
  readonly numHeads?: number;
  readonly imageSize?: number;
  readonly patchSize?: number;
}

/** What encoders of SigLIP's kind have in `vision_config`, whatever positions they have. */
export const siglipLayerFields = ({
  kinds,
  hiddenSize = 768,
  intermediateSize = 3072,
  numLayers = 12,
  numHeads = 12,
  patchSize = 16,
}: Omit<SiglipDefaults, 'imageSize'>) => ({
  hiddenSize: field('hidden_size', WIDTH, hiddenSize),
  intermediateSize: field('intermediate_size', WIDTH, intermediateSize),
  numLayers: field('num_hidden_layers', COUNT, numLayers),
  numHeads: encoderHeads('num_attention_heads', numHeads),
  patchSize: field('patch_size', COUNT, patchSize),
  channels: field('num_channels', only(3), 3),
  layerNormEps: field('layer_norm_eps', positive(1), 1e-6),
  hiddenAct: activation('hidden_act', 'gelu_tanh'),
  kind: field('model_type', oneOf(...kinds), kinds[0]),
});

/** The same of those that have learned positions of a square. */
export const siglipFields = ({ imageSize = 224, ...defaults }: SiglipDefaults) => ({
  ...siglipLayerFields(defaults),
  imageSize: field('image_size', COUNT, imageSize),
});

/** What all of the family have in `vision_config`, beside the size of a row, which `width` calls by its name. */
export const visionFields = (width = 'hidden_size') => ({
  depth: field('depth', COUNT, 32),
  numHeads: encoderHeads('num_heads', 16, { width, multiple: 4 }),
  inChannels: field(['in_channels', 'in_chans'], integer(3, 3), 3),
  patchSize: field('patch_size', COUNT, 14),
  mergeSize: field('spatial_merge_size', COUNT, 2),
  temporalPatchSize: field('temporal_patch_size', COUNT, 2),
  theta: axialTheta,
});
