import {
  type ConfigOf,
  defineConfig,
  ENCODER_IRRELEVANT,
  encoder,
  keysBecause,
  tablePositions,
} from '../../layers/config/index.js';
import { registerModel, routerOf } from '../../router/index.js';
import { positionsPastPadding } from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import { HARMLESS_IN_ENCODERS } from '../base/bert-parts.js';
import { FlashBertModelATB } from '../bert/index.js';

/** Defaults of transformers 5.24, LukeConfig. */
const LUKE_CONFIG = defineConfig({
  fields: {
    ...encoder({ typeVocabSize: 2, padTokenId: 1, biases: { qkv: true, dense: true, mlp: true } }),
    ...tablePositions({ count: 512, first: (padTokenId) => padTokenId + 1 }),
  },
  irrelevant: {
    ...ENCODER_IRRELEVANT,
    ...keysBecause(
      'is about entities, and words alone are read',
      ...['entity_vocab_size', 'entity_emb_size', 'use_entity_aware_attention', 'cls_entity_prediction'],
    ),
  },
});

/** The words of LUKE (arXiv:2010.01057): RoBERTa, beside which entities might stand. */
export class FlashLukeModelATB extends FlashBertModelATB {
  constructor(config: ConfigOf<typeof LUKE_CONFIG>, weights: Weights) {
    super(config, weights, {
      name: 'luke',
      root: 'luke',
      positions: positionsPastPadding(config.padTokenId ?? 1),
      classifier: { dense: 'luke.pooler.dense', out: 'classifier' },
    });
  }
}

export const LukeRouter = routerOf(LUKE_CONFIG, FlashLukeModelATB, {
  harmlessTensors: [
    ...HARMLESS_IN_ENCODERS,
    /(^|\.)entity_(embeddings|predictions)\./,
    /\.(w2e|e2w|e2e)_query\./,
  ],
  about: { kind: 'encoder', features: ['as roberta', 'words alone: no entities'], reference: 'transformers' },
});
registerModel('luke', LukeRouter);
