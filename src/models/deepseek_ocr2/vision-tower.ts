import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { buildLinear } from '../../layers/linear/linear-steps.js';
import { Module } from '../../layers/module.js';
import { ofWholePictures, packedRows, type StepInput } from '../../step-inputs/index.js';
import { Linear } from '../../weights/linear.js';
import type { Weights } from '../../weights/weights.js';
import type { Encoder } from '../base/flash-with-encoder-atb.js';
import { RowPacking } from '../base/llava/index.js';
import { publishedSam, ReducedSam, reducedSides } from '../base/vision/index.js';
import type { DeepseekOcr2Config } from './config.js';
import { QueriedEncoder } from './queries.js';

/** What is seen: a whole page, or tiles of one, which are smaller. */
export type Square = 'page' | 'tile';

/** Pixels along a side: tables of queries are for 1024 and for 768 of them, so tiles are three quarters as long. */
export const pixelsAlong = ({ vision }: DeepseekOcr2Config, square: Square): number =>
  square === 'page' ? vision.sam.imageSize : (vision.sam.imageSize * 3) / 4;

/** Tokens of such a square. */
export const tokensOf = (config: DeepseekOcr2Config, square: Square): number =>
  reducedSides(pixelsAlong(config, square), config.vision.sam.patchSize)[2] ** 2;

/**
 * SAM's encoder, two convolutions, and layers of Qwen2 in which as many queries stand behind the rows; these become
 * tokens, behind which a learned row may stand: [patches / 16, out].
 */
export class PageTower extends Module implements Encoder {
  readonly stepInputs: readonly StepInput[];
  readonly encoder: ReducedSam;
  readonly queried: QueriedEncoder;
  readonly proj: Linear;
  readonly packing: RowPacking;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor(config: DeepseekOcr2Config, weights: Weights, square: Square) {
    super();
    const { vision, hiddenSize } = config;
    const { sam, queries } = vision;
    const tower = publishedSam(weights.at('sam_model'));
    const imageSize = pixelsAlong(config, square);
    const drawn = square === 'page' ? undefined : imageSize;
    const reduction = { weights: tower, names: ['net_2', 'net_3'], sizes: sam.reduced } as const;
    this.encoder = new ReducedSam(sam, tower, reduction, drawn);
    const count = tokensOf(config, square);
    const area = Math.floor(imageSize / sam.patchSize) ** 2;
    const within = weights.at('qwen2_model');
    const table = square === 'page' ? 'query_1024.weight' : 'query_768.weight';
    const first = sam.numLayers + 3;
    this.queried = new QueriedEncoder(
      queries,
      within.at('model.model'),
      within.get(table, [count, queries.hiddenSize]),
      { first, area, count },
    );
    this.stepInputs = [
      ...this.encoder.stepInputs,
      ...ofWholePictures(area, [this.queried.stepInput, packedRows(false, area / count)]),
    ];
    this.proj = Linear.load(weights.at('projector'), {
      parts: [{ name: 'layers', outFeatures: hiddenSize }],
      inFeatures: queries.hiddenSize,
      hasBias: true,
    });
    const separator = weights.get('view_seperator', [hiddenSize]);
    this.packing = new RowPacking(first + queries.numLayers, weights, [separator], false);
  }

  buildGraph(graph: AtbGraph, kind: GraphKind): string {
    const answers = this.queried.buildGraph(graph, kind, this.encoder.buildGraph(graph, kind));
    return this.packing.buildGraph(graph, kind, buildLinear(graph, this.proj, answers, 'projector_out'));
  }
}
