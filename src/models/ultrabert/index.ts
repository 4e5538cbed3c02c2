import {
  biases,
  type ConfigOf,
  constant,
  decoder,
  defineConfig,
  type Field,
  field,
  integer,
  LENGTH,
  LLAMA_DEFAULTS,
  labels,
  listOf,
  oneOf,
  type RopesByWindow,
  type RotarySizes,
  ropesOf,
  rotaryByWindow,
  rotaryListsByWindow,
  slidingByLayer,
} from '../../layers/config/index.js';
import { ClassificationHead, TextMeans } from '../../layers/heads/row-heads.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { LlamaEncoderATB } from '../eurobert/index.js';

type Windows = readonly (number | undefined)[];

/** How far a token sees on each side. Published files list it by layer, 0 for those that see everything. */
const slidingWindows: Field<Windows, { readonly numHiddenLayers: number }> = {
  read(json, config) {
    const listed = json.optional('attention_windows', listOf(integer(0, 2 ** 24), 'numbers of tokens'));
    if (listed === undefined)
      return slidingByLayer({ window: 128, slidingWindowPattern: 3 }).read(json, config);
    const { numHiddenLayers: layers } = config;
    if (listed.length !== layers)
      json.fail(
        `attention_windows must have one entry for each of the ${layers} layers, found ${listed.length}`,
      );
    const window = listed.find((size) => size > 0) ?? json.value('sliding_window', LENGTH);
    if (listed.some((size) => size > 0 && size !== window))
      json.problem(`attention_windows must be the same in all layers that have one, found ${listed}`);
    return listed.map((size) => (size > 0 ? window : undefined));
  },
};

const LISTED = rotaryListsByWindow({
  theta: 10_000,
  thetas: 'rope_theta',
  factors: 'partial_rotary_factors',
});
const BY_WINDOW = rotaryByWindow({
  full_attention: { theta: 2_560_000, isScaled: false },
  sliding_attention: { theta: 10_000, isScaled: false },
});

/** Published files list bases by layer. */
const ropes: Field<RopesByWindow, RotarySizes & { readonly slidingWindows: Windows }> = {
  read: (json, config) =>
    Array.isArray(json.raw('rope_theta'))
      ? LISTED.ropes.read(json, config)
      : BY_WINDOW.ropes.read(json, config),
};

/** Defaults of transformers 5.24, UltrabertConfig. */
const ULTRABERT_CONFIG = defineConfig({
  fields: {
    ...decoder(LLAMA_DEFAULTS),
    ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: 'mlp_bias' }),
    slidingWindows,
    ...ropesOf(ropes),
    isCausal: constant(false),
    labels,
    classifierPooling: field('classifier_pooling', oneOf('cls', 'mean'), 'cls'),
  },
  irrelevant: {
    is_causal: 'UltrabertAttention is never causal',
    prediction_head_size: 'belongs to a head that predicts words',
    sentence_transformers: 'is read by whoever ranks',
  },
});
type UltrabertConfig = ConfigOf<typeof ULTRABERT_CONFIG>;

/** What a classifier makes of a text's first token, or of the mean of all. */
function classifierOf(weights: Weights, config: UltrabertConfig): ClassificationHead | undefined {
  const { hiddenSize, labels, classifierPooling } = config;
  if (labels === undefined) return undefined;
  const sizes = { hiddenSize, labels, name: 'classifier', hasBias: true };
  return new ClassificationHead(weights, {
    ...sizes,
    ...(classifierPooling === 'mean' && { rows: new TextMeans(config) }),
  });
}

/** EuroBERT's layers, of which most have a window on both sides, and these a rotary embedding of their own. */
export class FlashUltrabertModelATB extends LlamaEncoderATB<UltrabertConfig> {
  constructor(config: UltrabertConfig, weights: Weights) {
    super('ultrabert', config, weights.at('ultrabert'), classifierOf(weights, config));
  }
}

export const UltrabertRouter = routerOf(ULTRABERT_CONFIG, FlashUltrabertModelATB, {
  // What predicts words.
  harmlessTensors: [/^(cls|head)\./],
  about: {
    kind: 'encoder',
    features: ['as eurobert', 'windows on both sides by layer', 'two rotary embeddings'],
    reference: 'transformers',
  },
});
registerModel('ultrabert', UltrabertRouter);
