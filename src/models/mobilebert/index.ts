import { classifierOf } from '../../layers/heads/row-heads.js';
import { registerModel, routerOf } from '../../router/index.js';
import { headRows, lengths, positions, textTaps, tokenIds, tokenTypes } from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import { HARMLESS_IN_ENCODERS } from '../base/bert-parts.js';
import { TextEncoderATB } from '../base/text-encoder-atb.js';
import { MOBILEBERT_CONFIG, type MobileBertConfig } from './config-mobilebert.js';
import { MobileBertModelATB } from './modeling-mobilebert.js';

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
    features: ['BERT on narrow vectors', 'scales in place of norms', 'embeddings of three tokens'],
    reference: 'transformers',
  },
});
registerModel('mobilebert', MobileBertRouter);
