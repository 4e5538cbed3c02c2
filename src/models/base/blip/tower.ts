import type { AtbGraph } from '../../../graph/atb-graph.js';
import type { GraphKind } from '../../../graph/graph-kind.js';
import { PositionFreeAttention } from '../../../layers/attention/attention-orders.js';
import type { PreNormLayer } from '../../../layers/decoder/decoder-layers.js';
import { gatherRows } from '../../../layers/formulas/gather-rows.js';
import { buildLinear } from '../../../layers/linear/linear-steps.js';
import { Module } from '../../../layers/module.js';
import { BaseLayerNorm, NoNorm } from '../../../layers/norms/norms.js';
import {
  lengths,
  PATCHES,
  patches,
  QUERIED_WINDOWS,
  queriedPictures,
  queriedWords,
  type StepInput,
  squarePictures,
} from '../../../step-inputs/index.js';
import { Linear } from '../../../weights/linear.js';
import { asTable } from '../../../weights/weight-changes.js';
import type { TensorRef, Weights } from '../../../weights/weights.js';
import type { Encoder } from '../flash-with-encoder-atb.js';
import { QFormer, type QFormerConfig } from '../q-former.js';
import {
  buildEachLayer,
  CLIP_NAMES,
  type ClipLayerSizes,
  clipLayers,
  patchLinear,
  SquareFront,
} from '../vision/index.js';

const NAMES = { ...CLIP_NAMES, packed: 'qkv', dense: 'projection' };

/** What queries look at: the rows of all pictures, behind the norm. */
const SEEN = 'picture_rows_out';

/** What the encoder is told by the configuration. */
export interface BlipSizes {
  readonly vision: ClipLayerSizes & { readonly imageSize: number; readonly patchSize: number };
  readonly qFormer: QFormerConfig;
  /** Learned queries, of which each picture has as many tokens. */
  readonly queries: number;
  /** Of words. */
  readonly hiddenSize: number;
}

/**
 * A vision transformer over squares, a row of which stands for the whole, and learned queries that look at its rows and
 * become tokens (arXiv:2301.12597, section 3): [pictures * queries, out].
 */
export class BlipTower extends Module implements Encoder {
  readonly stepInputs: readonly StepInput[];
  readonly front: SquareFront;
  readonly layers: readonly PreNormLayer[];
  readonly norm: BaseLayerNorm;
  readonly qFormer: QFormer;
  readonly projection: Linear;
  private readonly queries: TensorRef;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor({ vision, qFormer, queries, hiddenSize: outFeatures }: BlipSizes, weights: Weights) {
    super();
    const { hiddenSize, patchSize, imageSize, layerNormEps, numLayers } = vision;
    const count = Math.floor(imageSize / patchSize) ** 2;
    this.stepInputs = [
      patches(3 * patchSize * patchSize),
      lengths,
      squarePictures(count, true),
      (qFormer.words ? queriedWords : queriedPictures)(count, count + 1, queries),
    ];
    const tower = weights.at('vision_model');
    const embeddings = tower.at('embeddings');
    this.front = new SquareFront(tower, {
      proj: patchLinear(embeddings, 'patch_embedding', hiddenSize, patchSize, true),
      classRow: embeddings.get('class_embedding', [1, 1, hiddenSize]),
      positions: embeddings.get('position_embedding', [1, count + 1, hiddenSize]),
      norm: new NoNorm(),
    });
    this.layers = clipLayers(tower.at('encoder.layers'), vision, PositionFreeAttention, NAMES);
    this.norm = new BaseLayerNorm(tower.at('post_layernorm'), hiddenSize, layerNormEps, {
      name: 'picture_rows',
    });
    this.queries = asTable(weights.get('query_tokens', [1, queries, qFormer.hiddenSize]));
    this.qFormer = new QFormer(qFormer, weights.at('qformer'), { firstId: numLayers, seen: SEEN });
    this.projection = Linear.load(weights, {
      parts: [{ name: 'language_projection', outFeatures }],
      inFeatures: qFormer.hiddenSize,
      hasBias: true,
    });
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.queries];
  }

  buildGraph(graph: AtbGraph, kind: GraphKind): string {
    const front = this.front.buildGraph(graph, kind, PATCHES);
    const rows = buildEachLayer(graph, kind, this.layers, front).at(-1) ?? front;
    this.norm.buildGraph(graph, rows, SEEN);
    const queries = gatherRows(graph, this.queries.name, QUERIED_WINDOWS.queries, 'picture_queries');
    return buildLinear(
      graph,
      this.projection,
      this.qFormer.buildGraph(graph, kind, queries),
      'projection_out',
    );
  }
}
