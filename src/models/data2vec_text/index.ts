import { registerModel, routerOf } from '../../router/index.js';
import { positionsPastPadding } from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import { HARMLESS_IN_ENCODERS } from '../base/bert-parts.js';
import { FlashBertModelATB } from '../bert/index.js';
import { ROBERTA_CONFIG, type RobertaConfig } from '../roberta/index.js';

/** RoBERTa that learned to predict what a teacher made of whole texts (arXiv:2202.03555): the same steps. */
export class FlashData2VecTextModelATB extends FlashBertModelATB {
  constructor(config: RobertaConfig, weights: Weights) {
    super(config, weights, {
      name: 'data2vec_text',
      root: 'data2vec_text',
      positions: positionsPastPadding(config.padTokenId ?? 1),
      classifier: { dense: 'classifier.dense', out: 'classifier.out_proj' },
    });
  }
}

export const Data2VecTextRouter = routerOf(ROBERTA_CONFIG, FlashData2VecTextModelATB, {
  harmlessTensors: HARMLESS_IN_ENCODERS,
  about: { kind: 'encoder', features: ['roberta under other names'], reference: 'transformers' },
});
registerModel('data2vec-text', Data2VecTextRouter);
