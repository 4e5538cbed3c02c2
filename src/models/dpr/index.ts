import {
  type ConfigOf,
  defineConfig,
  ENCODER_IRRELEVANT,
  encoder,
  field,
  only,
  tablePositions,
} from '../../layers/config/index.js';
import { registerModel, routerOf } from '../../router/index.js';
import { positions } from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import { HARMLESS_IN_ENCODERS } from '../base/bert-parts.js';
import { FlashBertModelATB } from '../bert/index.js';

/** Defaults of transformers 5.24, DPRConfig. */
const DPR_CONFIG = defineConfig({
  fields: {
    ...encoder({ typeVocabSize: 2, padTokenId: 0, biases: { qkv: true, dense: true, mlp: true } }),
    ...tablePositions({ count: 512, first: () => 0 }),
    // A product behind the first token's hidden state, which no published model has.
    projectionSize: field('projection_dim', only(0), 0),
  },
  irrelevant: ENCODER_IRRELEVANT,
});

const [QUESTIONS, PASSAGES] = ['question_encoder.bert_model', 'ctx_encoder.bert_model'];

/** BERT as it embeds questions, or passages in which their answers are (arXiv:2004.04906). */
export class FlashDprModelATB extends FlashBertModelATB {
  constructor(config: ConfigOf<typeof DPR_CONFIG>, weights: Weights) {
    const root = weights.has(`${PASSAGES}.embeddings.word_embeddings.weight`) ? PASSAGES : QUESTIONS;
    super(config, weights, {
      name: 'dpr',
      root,
      positions,
      classifier: { dense: undefined, out: 'classifier' },
    });
  }
}

export const DprRouter = routerOf(DPR_CONFIG, FlashDprModelATB, {
  harmlessTensors: HARMLESS_IN_ENCODERS,
  about: { kind: 'encoder', features: ['BERT of questions, or of passages'], reference: 'transformers' },
});
registerModel('dpr', DprRouter);
