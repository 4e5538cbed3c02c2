import type { AtbGraph } from '../../graph/atb-graph.js';
import { RotaryAttention } from '../../layers/attention/attention-orders.js';
import { PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import { LearnedPositions } from '../../layers/decoder/learned-positions.js';
import { addPair } from '../../layers/formulas/residual.js';
import { classifierOf } from '../../layers/heads/row-heads.js';
import { Module } from '../../layers/module.js';
import { BaseLayerNorm, NoNorm } from '../../layers/norms/norms.js';
import { registerModel, routerOf } from '../../router/index.js';
import {
  EMBEDDING_SCALES,
  headRows,
  lengths,
  maskDropout,
  positionsPastPadding,
  rotary,
  tokenIds,
} from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import {
  BERT_LAYER,
  type BertLayerNames,
  bertAttention,
  bertLayerParts,
  HARMLESS_IN_ENCODERS,
} from '../base/bert-parts.js';
import { EncoderModelATB, TextEncoderATB } from '../base/text-encoder-atb.js';
import { ESM_CONFIG, type EsmConfig } from './config.js';

const LAYER: BertLayerNames = {
  ...BERT_LAYER,
  attentionNorm: 'attention.LayerNorm',
  outputNorm: 'LayerNorm',
};

/** Embeddings times what the step input says. */
class ScaledEmbeddings extends Module {
  buildGraph(graph: AtbGraph, hidden: string): string {
    return addPair(graph, 'ELEWISE_MUL', hidden, EMBEDDING_SCALES, 'scaled_embeddings');
  }
}

/** Norms before each step; positions that turn, as in ESM-2 of proteins, or that are learned, as in ESM-1b. */
export class FlashEsmModelATB extends TextEncoderATB<EsmConfig> {
  constructor(config: EsmConfig, weights: Weights) {
    const { hiddenSize, layerNormEps, padTokenId = 1, positionTable: count, dropsMasks } = config;
    const inner = weights.at('esm');
    const [embeddings, turns] = [inner.at('embeddings'), config.positionKind === 'rotary'];
    const norm = (at: Weights, name: string) =>
      new BaseLayerNorm(at, hiddenSize, layerNormEps, { hasBias: true, name });
    const { rope: _, ...unturned } = config;
    super({
      name: 'esm',
      config,
      stepInputs: [
        tokenIds,
        turns ? rotary(config.rope) : positionsPastPadding(padTokenId),
        ...(dropsMasks ? [maskDropout(config.maskTokenId)] : []),
        lengths,
        headRows,
      ],
      body: new EncoderModelATB(turns ? config : unturned, inner, {
        names: { embedding: 'embeddings.word_embeddings', layers: 'encoder.layer' },
        added: [
          ...(dropsMasks ? [new ScaledEmbeddings()] : []),
          ...(turns
            ? []
            : [new LearnedPositions(embeddings.at('position_embeddings'), { count, hiddenSize })]),
        ],
        norm: config.normsEmbedding ? norm(embeddings.at('layer_norm'), 'embedding_norm') : new NoNorm(),
        layer(layerId, at) {
          const { q, k, v, dense } = LAYER;
          const selfAttn = turns
            ? new RotaryAttention(layerId, config, at, { qkv: { q, k, v }, dense })
            : bertAttention(layerId, at, unturned);
          return new PreNormLayer(layerId, at, bertLayerParts(layerId, at, config, LAYER, selfAttn));
        },
        lastNorm: norm(inner.at('encoder').at('emb_layer_norm_after'), 'last_norm'),
      }),
      head: classifierOf(weights, config, { dense: 'classifier.dense', out: 'classifier.out_proj' }),
    });
  }
}

export const EsmRouter = routerOf(ESM_CONFIG, FlashEsmModelATB, {
  // A head that tells which tokens touch; tables of turns, and of positions where all turn.
  harmlessTensors: ({ positionKind }) => [
    ...HARMLESS_IN_ENCODERS,
    /(^|\.)contact_head\./,
    /rotary_embeddings\.inv_freq$/,
    ...(positionKind === 'rotary' ? [/(^|\.)embeddings\.position_embeddings\.weight$/] : []),
  ],
  about: {
    kind: 'encoder',
    features: ['norms before each step', 'rotary or learned positions', 'masks that are dropped'],
    reference: 'transformers',
  },
});
registerModel('esm', EsmRouter);
