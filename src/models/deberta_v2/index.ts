import { type AtbGraph, BaseOperation } from '../../graph/atb-graph.js';
import { PostNormLayer } from '../../layers/decoder-layers.js';
import { DISTANCE_VECTORS, DisentangledAttention } from '../../layers/disentangled-attention.js';
import { LearnedPositions, TokenTypes } from '../../layers/learned-positions.js';
import { Module } from '../../layers/module.js';
import { BaseLayerNorm } from '../../layers/norms.js';
import { classifierOf } from '../../layers/row-heads.js';
import { registerModel, routerOf } from '../../router/index.js';
import {
  DISTANCE_ROWS,
  headRows,
  lengths,
  positions,
  relativePlaces,
  signedBucket,
  signedBucketRows,
  tokenIds,
  tokenTypes,
} from '../../step-inputs/index.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import { BERT_LAYER, type BertLayerNames, bertLayerParts, HARMLESS_IN_ENCODERS } from '../base/bert-parts.js';
import { EncoderModelATB, TextEncoderATB } from '../base/text-encoder-atb.js';
import { DEBERTA_V2_CONFIG, type DebertaV2Config } from './config-deberta-v2.js';

const LAYER: BertLayerNames = {
  ...BERT_LAYER,
  q: 'attention.self.query_proj',
  k: 'attention.self.key_proj',
  v: 'attention.self.value_proj',
};

/** The vectors of distances that the layers read: rows of a table, normed in models that norm them. */
class DistanceVectors extends Module {
  readonly norm: BaseLayerNorm | undefined;
  /** [rows, hidden] */
  private readonly table: TensorRef;

  constructor(config: DebertaV2Config, weights: Weights) {
    super();
    const { hiddenSize, layerNormEps, distanceBuckets, normsDistances } = config;
    this.table = weights.at('rel_embeddings').get('weight', [signedBucketRows(distanceBuckets), hiddenSize]);
    const norm = { hasBias: true, name: 'distance_norm' };
    this.norm = normsDistances
      ? new BaseLayerNorm(weights.at('LayerNorm'), hiddenSize, layerNormEps, norm)
      : undefined;
  }

  override getWeights(): TensorRef[] {
    return [this.table, ...super.getWeights()];
  }

  /** `distance_rows` [R] -> `distance_vectors` [R, hidden]. */
  buildGraph(graph: AtbGraph): void {
    const gathered = this.norm ? 'distance_table_rows' : DISTANCE_VECTORS;
    const gather = new BaseOperation('Gather', { axis: 0 }, gathered);
    graph.addOperation(gather, [this.table.name, DISTANCE_ROWS], [gathered]);
    this.norm?.buildGraph(graph, gathered, DISTANCE_VECTORS);
  }
}

/** Embeddings, vectors of distances where layers read any, and layers. */
class DebertaV2ModelATB extends EncoderModelATB {
  readonly distances: DistanceVectors | undefined;

  constructor(config: DebertaV2Config, weights: Weights) {
    const { hiddenSize, layerNormEps, positionTable, typeVocabSize, hasPositionTable, distanceTerms } =
      config;
    const embeddings = weights.at('embeddings');
    const [table, types] = [embeddings.at('position_embeddings'), embeddings.at('token_type_embeddings')];
    const { q, k, v, dense } = LAYER;
    super(config, weights, {
      names: { embedding: 'embeddings.word_embeddings', layers: 'encoder.layer' },
      added: [
        ...(hasPositionTable ? [new LearnedPositions(table, { count: positionTable, hiddenSize })] : []),
        ...(typeVocabSize === 0 ? [] : [new TokenTypes(types, { count: typeVocabSize, hiddenSize })]),
      ],
      norm: new BaseLayerNorm(embeddings.at('LayerNorm'), hiddenSize, layerNormEps, {
        hasBias: true,
        name: 'embedding_norm',
      }),
      layer(layerId, at) {
        const names = { qkv: { q, k, v }, dense, distances: at.at('attention').at('self') };
        const selfAttn = new DisentangledAttention(layerId, config, at, names);
        return new PostNormLayer(layerId, at, bertLayerParts(layerId, at, config, LAYER, selfAttn));
      },
    });
    this.distances =
      distanceTerms.length === 0 ? undefined : new DistanceVectors(config, weights.at('encoder'));
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
    /\.embeddings\.position_embeddings\./,
  ],
  about: {
    kind: 'encoder',
    features: ['BERT whose scores know distances by vectors (disentangled attention)'],
    reference: 'transformers',
  },
});
registerModel('deberta-v2', DebertaV2Router);
