import { PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import { classifierOf } from '../../layers/heads/row-heads.js';
import { BaseLayerNorm, NoNorm } from '../../layers/norms/norms.js';
import { registerModel, routerOf } from '../../router/index.js';
import { headRows, lengths, positions, tokenIds, tokenTypes } from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import {
  BERT_LAYER,
  type BertLayerNames,
  bertAdditions,
  bertLayerParts,
  HARMLESS_IN_ENCODERS,
} from '../base/bert-parts.js';
import { EncoderModelATB, TextEncoderATB } from '../base/text-encoder-atb.js';
import { BERT_CONFIG, type BertConfig } from '../bert/index.js';

const LAYER: BertLayerNames = { ...BERT_LAYER, attentionNorm: 'attention.ln', outputNorm: 'ln' };

/** BERT with norms before each step, none of the embeddings and one at the end (arXiv:1909.08053, section 5.3). */
export class FlashMegatronBertModelATB extends TextEncoderATB<BertConfig> {
  constructor(config: BertConfig, weights: Weights) {
    const inner = weights.at('bert');
    super({
      name: 'megatron_bert',
      config,
      stepInputs: [tokenIds, positions, tokenTypes, lengths, headRows],
      body: new EncoderModelATB(config, inner, {
        names: { embedding: 'embeddings.word_embeddings', layers: 'encoder.layer' },
        added: bertAdditions(inner.at('embeddings'), config),
        norm: new NoNorm(),
        layer: (layerId, at) => new PreNormLayer(layerId, at, bertLayerParts(layerId, at, config, LAYER)),
        lastNorm: new BaseLayerNorm(inner.at('encoder').at('ln'), config.hiddenSize, config.layerNormEps),
      }),
      head: classifierOf(weights, config, { dense: 'bert.pooler.dense', out: 'classifier' }),
    });
  }
}

export const MegatronBertRouter = routerOf(BERT_CONFIG, FlashMegatronBertModelATB, {
  harmlessTensors: HARMLESS_IN_ENCODERS,
  about: {
    kind: 'encoder',
    features: ['BERT with norms before each step and no norm of the embeddings'],
    reference: 'transformers',
  },
});
registerModel('megatron-bert', MegatronBertRouter);
