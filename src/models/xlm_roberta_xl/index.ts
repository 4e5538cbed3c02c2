import {
  type ConfigOf,
  defineConfig,
  ENCODER_IRRELEVANT,
  encoder,
  field,
  positive,
  tablePositions,
} from '../../layers/config/index.js';
import { PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import { classifierOf } from '../../layers/heads/row-heads.js';
import { BaseLayerNorm, NoNorm } from '../../layers/norms/norms.js';
import { registerModel, routerOf } from '../../router/index.js';
import { headRows, lengths, positionsPastPadding, tokenIds, tokenTypes } from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import {
  BERT_LAYER,
  type BertLayerNames,
  bertAdditions,
  bertLayerParts,
  HARMLESS_IN_ENCODERS,
} from '../base/bert-parts.js';
import { EncoderModelATB, TextEncoderATB } from '../base/text-encoder-atb.js';

/** Defaults of transformers 5.24, XLMRobertaXLConfig. */
const XLM_ROBERTA_XL_CONFIG = defineConfig({
  fields: {
    ...encoder({ typeVocabSize: 1, padTokenId: 1, biases: { qkv: true, dense: true, mlp: true } }),
    ...tablePositions({ count: 514, first: (padTokenId) => padTokenId + 1 }),
    layerNormEps: field('layer_norm_eps', positive(1), 1e-5),
  },
  irrelevant: ENCODER_IRRELEVANT,
});
type XlmRobertaXlConfig = ConfigOf<typeof XLM_ROBERTA_XL_CONFIG>;

const LAYER: BertLayerNames = {
  ...BERT_LAYER,
  attentionNorm: 'attention.self_attn_layer_norm',
  outputNorm: 'LayerNorm',
};

/** RoBERTa with norms before each step, none of the embeddings and one at the end (arXiv:2105.00572, section 2). */
export class FlashXlmRobertaXlModelATB extends TextEncoderATB<XlmRobertaXlConfig> {
  constructor(config: XlmRobertaXlConfig, weights: Weights) {
    const { hiddenSize, layerNormEps, padTokenId } = config;
    const inner = weights.at('roberta');
    super({
      name: 'xlm_roberta_xl',
      config,
      stepInputs: [tokenIds, positionsPastPadding(padTokenId ?? 1), tokenTypes, lengths, headRows],
      body: new EncoderModelATB(config, inner, {
        names: { embedding: 'embeddings.word_embeddings', layers: 'encoder.layer' },
        added: bertAdditions(inner.at('embeddings'), config),
        norm: new NoNorm(),
        layer: (layerId, at) => new PreNormLayer(layerId, at, bertLayerParts(layerId, at, config, LAYER)),
        lastNorm: new BaseLayerNorm(inner.at('encoder').at('LayerNorm'), hiddenSize, layerNormEps),
      }),
      head: classifierOf(weights, config, { dense: 'classifier.dense', out: 'classifier.out_proj' }),
    });
  }
}

export const XlmRobertaXlRouter = routerOf(XLM_ROBERTA_XL_CONFIG, FlashXlmRobertaXlModelATB, {
  harmlessTensors: HARMLESS_IN_ENCODERS,
  about: {
    kind: 'encoder',
    features: ['roberta with norms before each step and no norm of the embeddings'],
    reference: 'transformers',
  },
});
registerModel('xlm-roberta-xl', XlmRobertaXlRouter);
