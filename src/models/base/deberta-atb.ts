import type { ActivationKind } from '../../common-op-builders/index.js';
import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import {
  DisentangledAttention,
  type DisentangledConfig,
  type DistanceProjections,
} from '../../layers/attention/disentangled-attention.js';
import { DistanceVectors } from '../../layers/attention/distance-vectors.js';
import type { BaseConfig } from '../../layers/config/index.js';
import { PostNormLayer, type PreNormParts } from '../../layers/decoder/decoder-layers.js';
import { addResidual } from '../../layers/formulas/residual.js';
import { buildHeadActivation, classifierOf, type HeadActivation } from '../../layers/heads/row-heads.js';
import { TextConv } from '../../layers/linear/convolution.js';
import type { QkvNames } from '../../layers/linear/projections.js';
import { BaseLayerNorm } from '../../layers/norms/norms.js';
import {
  headRows,
  lengths,
  positions,
  relativePlaces,
  type SignedBuckets,
  signedBucket,
  signedBucketRows,
  textTaps,
  tokenIds,
  tokenTypes,
} from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import {
  BERT_LAYER,
  type BertLayerConfig,
  bertEmbeddings,
  bertLayerParts,
  HARMLESS_IN_ENCODERS,
} from './bert-parts.js';
import { EncoderModelATB, TextEncoderATB } from './text-encoder-atb.js';

/** How a generation's checkpoints call what its layers are made of. */
export interface DebertaNames {
  /** In graphs. */
  readonly name: string;
  readonly qkv: QkvNames;
  /** Of projections of distances. */
  readonly projections: DistanceProjections;
}

/** What both generations are told. */
export type DebertaConfig = BaseConfig &
  DisentangledConfig &
  BertLayerConfig & {
    readonly positionTable: number;
    readonly typeVocabSize: number;
    readonly distanceBuckets: SignedBuckets;
    readonly distanceNorm: 'none' | 'layer_norm';
    readonly poolerAct: ActivationKind;
    readonly labels: number | undefined;
    /** Tokens that the convolution behind the first layer sees; 0: there is none. */
    readonly convTaps: number;
    readonly convAct: HeadActivation;
  };

/** A layer beside which its input is convolved: the norm of both results' sum. */
class ConvolvedLayer extends PostNormLayer {
  readonly conv: TextConv;
  readonly convNorm: BaseLayerNorm;
  private readonly act: HeadActivation;

  /** `weights`: of the layer; `conv`: of the convolution. */
  constructor(layerId: number, weights: Weights, parts: PreNormParts, conv: Weights, config: DebertaConfig) {
    super(layerId, weights, parts, 'convolved');
    const { hiddenSize, layerNormEps, convTaps: taps } = config;
    this.conv = new TextConv(conv, 'conv', { inSize: hiddenSize, outSize: hiddenSize, taps });
    this.convNorm = new BaseLayerNorm(conv.at('LayerNorm'), hiddenSize, layerNormEps, { name: 'conv_norm' });
    this.act = config.convAct;
  }

  protected override buildLayerGraph(graph: AtbGraph, kind: GraphKind, hidden: string): string {
    const layer = super.buildLayerGraph(graph, kind, hidden);
    const convolved = buildHeadActivation(graph, this.act, this.conv.buildGraph(graph, hidden, 'conv_out'));
    return this.convNorm.buildGraph(graph, addResidual(graph, layer, convolved, 'convolved'));
  }
}

/** Embeddings, vectors of distances where layers read any, and layers. */
class DebertaModelATB extends EncoderModelATB {
  readonly distances: DistanceVectors | undefined;

  constructor(config: DebertaConfig, weights: Weights, { qkv, projections }: DebertaNames) {
    const { hiddenSize, layerNormEps, distanceTerms, distanceBuckets, distanceNorm, convTaps } = config;
    super(config, weights, {
      names: { embedding: 'embeddings.word_embeddings', layers: 'encoder.layer' },
      ...bertEmbeddings(weights.at('embeddings'), config),
      layer(layerId, at) {
        const distances = at.at('attention').at('self');
        const names = { qkv, dense: BERT_LAYER.dense, distances, projections };
        const selfAttn = new DisentangledAttention(layerId, config, at, names);
        const parts = bertLayerParts(layerId, at, config, BERT_LAYER, selfAttn);
        return layerId === 0 && convTaps > 0
          ? new ConvolvedLayer(layerId, at, parts, weights.at('encoder').at('conv'), config)
          : new PostNormLayer(layerId, at, parts);
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

/** BERT whose scores know distances by vectors of their own (arXiv:2006.03654). */
export class FlashDebertaATB<C extends DebertaConfig> extends TextEncoderATB<C> {
  constructor(config: C, weights: Weights, names: DebertaNames) {
    const { distanceBuckets: buckets, poolerAct: act, distanceTerms, convTaps } = config;
    const rowOf = (distance: number) => signedBucket(distance, buckets);
    super({
      name: names.name,
      config,
      stepInputs: [
        tokenIds,
        positions,
        tokenTypes,
        relativePlaces(rowOf, signedBucketRows(buckets)),
        ...(convTaps > 0
          ? [textTaps(Array.from({ length: convTaps }, (_, at) => at - (convTaps - 1) / 2))]
          : []),
        lengths,
        headRows,
      ],
      body: new DebertaModelATB(config, weights.at('deberta'), names),
      head: classifierOf(weights, config, { dense: 'pooler.dense', out: 'classifier', act }),
      padsTexts: distanceTerms.length > 0,
    });
  }
}

/** Heads that predict words, and tables that a model without them still has in its files. */
export const HARMLESS_IN_DEBERTA: readonly RegExp[] = [
  ...HARMLESS_IN_ENCODERS,
  /^(lm_predictions|mask_predictions)\./,
  /(^|\.)embeddings\.position_embeddings\./,
];
