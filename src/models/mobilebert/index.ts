import {
  activation,
  type ConfigOf,
  defineConfig,
  ENCODER_IRRELEVANT,
  encoder,
  type Field,
  field,
  flag,
  integer,
  only,
  SIZE,
  tablePositions,
} from '../../layers/config/index.js';
import { classifierOf } from '../../layers/row-heads.js';
import { registerModel, routerOf } from '../../router/index.js';
import { headRows, lengths, positions, textTaps, tokenIds, tokenTypes } from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import { HARMLESS_IN_ENCODERS } from '../base/bert-parts.js';
import { TextEncoderATB } from '../base/text-encoder-atb.js';
import { MobileBertModelATB } from './modeling-mobilebert.js';

type Narrow = { readonly narrowSize: number; readonly numAttentionHeads: number };

const headDim: Field<number, Narrow> = {
  read(json, { narrowSize, numAttentionHeads: heads }) {
    if (narrowSize % heads !== 0)
      json.problem(
        `intra_bottleneck_size (${narrowSize}) must be a multiple of num_attention_heads (${heads})`,
      );
    return narrowSize / heads;
  },
};

/** Files write it down, though it follows. */
const trueSize: Field<number, Narrow> = {
  read: (json, { narrowSize }) => field('true_hidden_size', only(narrowSize), narrowSize).read(json, {}),
};

/** Defaults of transformers 5.24, MobileBertConfig. */
const MOBILEBERT_CONFIG = defineConfig({
  fields: {
    ...encoder({ typeVocabSize: 2, padTokenId: 0, biases: { qkv: true, dense: true, mlp: true } }),
    ...tablePositions({ count: 512, first: () => 0 }),
    hiddenAct: activation('hidden_act', 'relu'),
    // Where layers work: hidden states are made so narrow, and wide again.
    narrowSize: field('intra_bottleneck_size', SIZE, 128),
    trueSize,
    headDim,
    embeddingSize: field('embedding_size', SIZE, 128),
    feedForwards: field('num_feedforward_networks', integer(1, 64), 4),
    // Of the published model; other branches of the class belong to none.
    isNarrow: field('use_bottleneck', only(true), true),
    narrowsValues: field('use_bottleneck_attention', only(false), false),
    sharesNarrow: field('key_query_shared_bottleneck', only(true), true),
    seesNeighbours: field('trigram_input', only(true), true),
    normType: field('normalization_type', only('no_norm'), 'no_norm'),
    hasPooler: field('classifier_activation', flag, true),
  },
  irrelevant: ENCODER_IRRELEVANT,
});
export type MobileBertConfig = ConfigOf<typeof MOBILEBERT_CONFIG>;

/** Each token stands beside its neighbours: the one behind it first, as the checkpoint's product has them. */
const NEIGHBOURS = [1, 0, -1] as const;

/** BERT whose layers work on narrow vectors and have no norms (arXiv:2004.02984). */
export class FlashMobileBertModelATB extends TextEncoderATB<MobileBertConfig> {
  constructor(config: MobileBertConfig, weights: Weights) {
    super({
      name: 'mobilebert',
      config,
      stepInputs: [tokenIds, textTaps(NEIGHBOURS), positions, tokenTypes, lengths, headRows],
      body: new MobileBertModelATB(config, weights.at('mobilebert')),
      head: classifierOf(weights, config, {
        dense: config.hasPooler ? 'mobilebert.pooler.dense' : undefined,
        out: 'classifier',
      }),
    });
  }
}

export const MobileBertRouter = routerOf(MOBILEBERT_CONFIG, FlashMobileBertModelATB, {
  harmlessTensors: HARMLESS_IN_ENCODERS,
  about: {
    kind: 'encoder',
    features: [
      'BERT whose layers work on narrow vectors',
      'scales in place of norms',
      'several MLPs in a layer',
      'embeddings of three tokens',
    ],
    reference: 'transformers',
  },
});
registerModel('mobilebert', MobileBertRouter);
