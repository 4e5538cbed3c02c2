import {
  type ConfigOf,
  defineConfig,
  ENCODER_IRRELEVANT,
  encoder,
  tablePositions,
} from '../../layers/config/index.js';
import { registerModel, routerOf } from '../../router/index.js';
import { positionsPastPadding } from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import { HARMLESS_IN_ENCODERS } from '../base/bert-parts.js';
import { FlashBertModelATB } from '../bert/index.js';

/** Defaults of transformers 5.24, RobertaConfig, XLMRobertaConfig and RobertaPreLayerNormConfig. */
export const ROBERTA_CONFIG = defineConfig({
  fields: {
    ...encoder({ typeVocabSize: 2, padTokenId: 1, biases: { qkv: true, dense: true, mlp: true } }),
    ...tablePositions({ count: 512, first: (padTokenId) => padTokenId + 1 }),
  },
  irrelevant: ENCODER_IRRELEVANT,
});
export type RobertaConfig = ConfigOf<typeof ROBERTA_CONFIG>;

/** BERT whose positions begin behind that of padding (arXiv:1907.11692, arXiv:1911.02116). */
export class FlashRobertaModelATB extends FlashBertModelATB {
  constructor(config: RobertaConfig, weights: Weights) {
    super(config, weights, {
      name: 'roberta',
      root: 'roberta',
      positions: positionsPastPadding(config.padTokenId ?? 1),
      classifier: { dense: 'classifier.dense', out: 'classifier.out_proj' },
    });
  }
}

export const RobertaRouter = routerOf(ROBERTA_CONFIG, FlashRobertaModelATB, {
  harmlessTensors: HARMLESS_IN_ENCODERS,
  about: { kind: 'encoder', features: ['BERT, positions behind that of padding'], reference: 'transformers' },
});
// transformers' CamemBERT is this class under another name.
registerModel(['roberta', 'xlm-roberta', 'camembert'], RobertaRouter);
