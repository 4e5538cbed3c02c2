import { registerModel, routerOf } from '../../router/index.js';
import { HARMLESS_IN_ENCODERS } from '../base/bert-parts.js';
import { BERT_CONFIG, FlashBertModelATB } from './modeling-bert-atb.js';

export * from './modeling-bert-atb.js';

export const BertRouter = routerOf(BERT_CONFIG, FlashBertModelATB, {
  harmlessTensors: HARMLESS_IN_ENCODERS,
  about: {
    kind: 'encoder',
    features: ['learned positions', 'types of tokens', 'norms of sums'],
    reference: 'transformers',
  },
});
registerModel('bert', BertRouter);
