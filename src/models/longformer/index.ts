import {
  type ConfigOf,
  defineConfig,
  ENCODER_IRRELEVANT,
  encoder,
  type Field,
  integer,
  isClassifier,
  keysBecause,
  listOf,
  tablePositions,
} from '../../layers/config/index.js';
import { registerModel, routerOf } from '../../router/index.js';
import { positionsPastPadding } from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import { HARMLESS_IN_ENCODERS } from '../base/bert-parts.js';
import { FlashBertModelATB } from '../bert/index.js';

const WINDOW = integer(2, 2 ** 24);

/** `attention_window` counts both sides, for all layers or in a list by layer. */
const slidingWindows: Field<readonly number[], { readonly numHiddenLayers: number }> = {
  read(json, { numHiddenLayers: layers }) {
    const found = json.raw('attention_window') ?? 512;
    const all = Array.isArray(found) ? found : Array<unknown>(layers).fill(found);
    const windows = json.check('attention_window', all, listOf(WINDOW, 'numbers of at least 2')) ?? [];
    if (windows.length !== layers)
      json.problem(
        `attention_window must have one entry for each of the ${layers} layers, found ${windows.length}`,
      );
    const odd = windows.find((window) => window % 2 !== 0);
    if (odd !== undefined) json.problem(`attention_window must be of even numbers, found ${odd}`);
    return windows.map((window) => window / 2);
  },
};

/** A classifier's first token sees all others and is seen by all, by projections of their own. */
const labels: Field<number | undefined> = {
  read(json) {
    if (isClassifier(json.dict))
      json.problem(
        'architectures must be those of a model that embeds: the global attention of classifiers is not built',
      );
    return undefined;
  },
};

/** Defaults of transformers 5.24, LongformerConfig. */
const LONGFORMER_CONFIG = defineConfig({
  fields: {
    ...encoder({ typeVocabSize: 2, padTokenId: 1, biases: { qkv: true, dense: true, mlp: true } }),
    ...tablePositions({ count: 512, first: (padTokenId) => padTokenId + 1 }),
    slidingWindows,
    labels,
  },
  irrelevant: {
    ...ENCODER_IRRELEVANT,
    ...keysBecause(
      'is not read by LongformerModel',
      ...['attention_mode', 'ignore_attention_mask', 'onnx_export', 'sep_token_id'],
    ),
  },
});

/** RoBERTa whose tokens see those around them alone (arXiv:2004.05150); none sees all, as where nobody asks for it. */
export class FlashLongformerModelATB extends FlashBertModelATB {
  constructor(config: ConfigOf<typeof LONGFORMER_CONFIG>, weights: Weights) {
    super(config, weights, {
      name: 'longformer',
      root: 'longformer',
      positions: positionsPastPadding(config.padTokenId ?? 1),
      classifier: { dense: 'classifier.dense', out: 'classifier.out_proj' },
    });
  }
}

export const LongformerRouter = routerOf(LONGFORMER_CONFIG, FlashLongformerModelATB, {
  harmlessTensors: [...HARMLESS_IN_ENCODERS, /\.(query|key|value)_global\./],
  about: {
    kind: 'encoder',
    features: ['as roberta', 'windows on both sides', 'no global attention'],
    reference: 'transformers',
  },
});
registerModel('longformer', LongformerRouter);
