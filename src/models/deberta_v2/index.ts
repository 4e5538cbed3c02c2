import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { type DebertaNames, FlashDebertaATB, HARMLESS_IN_DEBERTA } from '../base/deberta-atb.js';
import { DEBERTA_V2_CONFIG, type DebertaV2Config } from './config-deberta-v2.js';

export * from './config-deberta-v2.js';

const NAMES: DebertaNames = {
  name: 'deberta_v2',
  qkv: {
    q: 'attention.self.query_proj',
    k: 'attention.self.key_proj',
    v: 'attention.self.value_proj',
  },
  projections: {
    c2p: { name: 'pos_key_proj', hasBias: true },
    p2c: { name: 'pos_query_proj', hasBias: true },
  },
};

/** DeBERTa of the second and third generation, whose distances stand in buckets (arXiv:2111.09543). */
export class FlashDebertaV2ModelATB extends FlashDebertaATB<DebertaV2Config> {
  constructor(config: DebertaV2Config, weights: Weights) {
    super(config, weights, NAMES);
  }
}

export const DebertaV2Router = routerOf(DEBERTA_V2_CONFIG, FlashDebertaV2ModelATB, {
  harmlessTensors: HARMLESS_IN_DEBERTA,
  about: {
    kind: 'encoder',
    features: [
      'BERT whose scores know distances by vectors (disentangled attention)',
      'a convolution beside the first layer',
    ],
    reference: 'transformers',
  },
});
registerModel('deberta-v2', DebertaV2Router);
