import { registerModel, routerOf } from '../../router/index.js';
import { BERT_CONFIG, FlashBertModelATB } from './modeling-bert-atb.js';

export * from './modeling-bert-atb.js';

/** Heads that predict words, the pooler where nobody classifies, and the numbers of positions. */
export const HARMLESS_IN_ENCODERS: readonly RegExp[] = [
  /(^|\.)(pooler|cls|lm_head)\./,
  /\.embeddings\.position_ids$/,
];

export const BertRouter = routerOf(BERT_CONFIG, FlashBertModelATB, {
  harmlessTensors: HARMLESS_IN_ENCODERS,
  about: {
    kind: 'encoder',
    features: ['learned positions', 'types of tokens', 'norms of sums'],
    reference: 'transformers',
  },
});
registerModel('bert', BertRouter);
