import type { AtbGraph } from '../../graph/atb-graph.js';
import { DisentangledAttention } from '../../layers/attention/disentangled-attention.js';
import { DistanceVectors } from '../../layers/attention/distance-vectors.js';
import { PostNormLayer } from '../../layers/decoder-layers.js';
import { classifierOf } from '../../layers/row-heads.js';
import { registerModel, routerOf } from '../../router/index.js';
import {
  headRows,
  lengths,
  positions,
  relativePlaces,
  signedBucket,
  signedBucketRows,
  tokenIds,
  tokenTypes,
} from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import {
  BERT_LAYER,
  type BertLayerNames,
  bertEmbeddings,
  bertLayerParts,
  HARMLESS_IN_ENCODERS,
} from '../base/bert-parts.js';
import { EncoderModelATB, TextEncoderATB } from '../base/text-encoder-atb.js';
import { DEBERTA_V2_CONFIG, type DebertaV2Config } from './config-deberta-v2.js';

const LAYER: BertLayerNames = {
  ...BERT_LAYER,
  q: 'attention.self.query_proj',
  k: 'attention.self.key_proj',
  v: 'attention.self.value_proj',
};

/** Embeddings, vectors of distances where layers read any, and layers. */
class DebertaV2ModelATB extends EncoderModelATB {
  readonly distances: DistanceVectors | undefined;

  constructor(config: DebertaV2Config, weights: Weights) {
    const { hiddenSize, layerNormEps, distanceTerms, distanceBuckets, distanceNorm } = config;
    const { q, k, v, dense } = LAYER;
    super(config, weights, {
      names: { embedding: 'embeddings.word_embeddings', layers: 'encoder.layer' },
      ...bertEmbeddings(weights.at('embeddings'), config),
      layer(layerId, at) {
        const names = { qkv: { q, k, v }, dense, distances: at.at('attention').at('self') };
        const selfAttn = new DisentangledAttention(layerId, config, at, names);
        return new PostNormLayer(layerId, at, bertLayerParts(layerId, at, config, LAYER, selfAttn));
      },
    });
    const epsilon = distanceNorm === 'layer_norm' ? layerNormEps : undefined;
    const sizes = { rows: signedBucketRows(distanceBuckets), hiddenSize, epsilon };
    this.distances =
      distanceTerms.length === 0 ? undefined : new DistanceVectors(weights.at('encoder'), sizes);
  }

  override buildPositionalEmbeddingGraph(graph: AtbGraph): void {
    this.distances?.buildGraph(graph);
  }
}

/** BERT whose scores know distances by vectors of their own (arXiv:2006.03654 and arXiv:2111.09543). */
export class FlashDebertaV2ModelATB extends TextEncoderATB<DebertaV2Config> {
  constructor(config: DebertaV2Config, weights: Weights) {
    const { distanceBuckets: buckets, poolerAct: act, distanceTerms } = config;
    const rowOf = (distance: number) => signedBucket(distance, buckets);
    super({
      name: 'deberta_v2',
      config,
      stepInputs: [
        tokenIds,
        positions,
        tokenTypes,
        relativePlaces(rowOf, signedBucketRows(buckets)),
        lengths,
        headRows,
      ],
      body: new DebertaV2ModelATB(config, weights.at('deberta')),
      head: classifierOf(weights, config, { dense: 'pooler.dense', out: 'classifier', act }),
      padsTexts: distanceTerms.length > 0,
    });
  }
}

export const DebertaV2Router = routerOf(DEBERTA_V2_CONFIG, FlashDebertaV2ModelATB, {
  // Heads that predict words, and tables that a model without them still has in its files.
  harmlessTensors: [
    ...HARMLESS_IN_ENCODERS,
    /^(lm_predictions|mask_predictions)\./,
    /(^|\.)embeddings\.position_embeddings\./,
  ],
  about: {
    kind: 'encoder',
    features: ['BERT whose scores know distances by vectors (disentangled attention)'],
    reference: 'transformers',
  },
});
registerModel('deberta-v2', DebertaV2Router);
