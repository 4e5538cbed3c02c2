import { PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import { classifierOf } from '../../layers/heads/row-heads.js';
import { BaseLayerNorm } from '../../layers/norms/norms.js';
import { registerModel, routerOf } from '../../router/index.js';
import { headRows, lengths, positionsPastPadding, tokenIds, tokenTypes } from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import {
  BERT_LAYER,
  type BertLayerNames,
  bertEmbeddings,
  bertLayerParts,
  HARMLESS_IN_ENCODERS,
} from '../base/bert-parts.js';
import { EncoderModelATB, TextEncoderATB } from '../base/text-encoder-atb.js';
import { ROBERTA_CONFIG, type RobertaConfig } from '../roberta/index.js';

const LAYER: BertLayerNames = {
  ...BERT_LAYER,
  attentionNorm: 'attention.LayerNorm',
  outputNorm: 'intermediate.LayerNorm',
};

/** RoBERTa with norms before each step, and one at the end (arXiv:2202.08005, section 7). */
export class FlashRobertaPreLayerNormModelATB extends TextEncoderATB<RobertaConfig> {
  constructor(config: RobertaConfig, weights: Weights) {
    const { hiddenSize, layerNormEps, padTokenId } = config;
    const inner = weights.at('roberta_prelayernorm');
    super({
      name: 'roberta_prelayernorm',
      config,
      stepInputs: [tokenIds, positionsPastPadding(padTokenId ?? 1), tokenTypes, lengths, headRows],
      body: new EncoderModelATB(config, inner, {
        names: { embedding: 'embeddings.word_embeddings', layers: 'encoder.layer' },
        ...bertEmbeddings(inner.at('embeddings'), config),
        layer: (layerId, at) => new PreNormLayer(layerId, at, bertLayerParts(layerId, at, config, LAYER)),
        lastNorm: new BaseLayerNorm(inner.at('LayerNorm'), hiddenSize, layerNormEps),
      }),
      head: classifierOf(weights, config, { dense: 'classifier.dense', out: 'classifier.out_proj' }),
    });
  }
}

export const RobertaPreLayerNormRouter = routerOf(ROBERTA_CONFIG, FlashRobertaPreLayerNormModelATB, {
  harmlessTensors: HARMLESS_IN_ENCODERS,
  about: {
    kind: 'encoder',
    features: ['roberta with norms before each step'],
    reference: 'transformers',
  },
});
registerModel('roberta-prelayernorm', RobertaPreLayerNormRouter);
