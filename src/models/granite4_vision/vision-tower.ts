import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { addScaled } from '../../layers/formulas/residual.js';
import { Module } from '../../layers/module.js';
import {
  gridPositions,
  ofWholePictures,
  packedRows,
  queriedWindows,
  queryBlocks,
  type StepInput,
} from '../../step-inputs/index.js';
import { uniqueWeights } from '../../weights/weight-identity.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import type { Encoder } from '../base/flash-with-encoder-atb.js';
import { PackedProjector } from '../base/llava/index.js';
import { besideRows, SiglipEncoder, visionTower } from '../base/vision/index.js';
import type { Granite4VisionConfig, Level } from './config.js';
import { WindowProjector } from './window-projector.js';

/** How many layers of the encoder are computed. */
export const deepestLevel = ({ levels }: Pick<Granite4VisionConfig, 'levels'>): number =>
  Math.max(...levels.map(({ depth }) => depth));

/**
 * SigLIP over squares, whose patches come window by window. For each of some layers of text a projector makes vectors of
 * what one of its layers gives: those before the first one stand in the place of words.
 */
export class Granite4VisionTower extends Module implements Encoder {
  readonly stepInputs: readonly StepInput[];
  readonly encoder: SiglipEncoder;
  readonly projectors: readonly PackedProjector[];
  private readonly levels: readonly Level[];

  /** `weights`: where the checkpoint has all but the head. Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor(config: Granite4VisionConfig, weights: Weights) {
    super();
    const { vision, levels, windows, qFormer, hiddenSize } = config;
    const { querySide, windowSide } = windows;
    const [numLayers, area] = [deepestLevel(config), windowSide ** 2];
    this.levels = levels;
    this.encoder = new SiglipEncoder({ ...vision, numLayers }, visionTower(weights), {
      positions: (side) => gridPositions(side, windowSide),
      hasNorm: false,
    });
    this.projectors = levels.map((level, index) => {
      const firstId = numLayers + index * (qFormer.numLayers + 3);
      const projector = new WindowProjector(firstId, config, weights.at(level.name), level);
      const layerId = firstId + qFormer.numLayers + 2;
      return new PackedProjector(projector, weights, { layerId, hiddenSize, isMixed: false });
    });
    this.stepInputs = ofWholePictures(area, [
      ...this.encoder.stepInputs,
      queryBlocks(windowSide, querySide),
      queriedWindows(area, querySide ** 2),
      packedRows(false, (windowSide / querySide) ** 2),
    ]);
  }

  /** All projectors share the row that ends a line, and each has a norm that two steps read. */
  override getWeights(): TensorRef[] {
    return uniqueWeights(super.getWeights());
  }

  buildGraph(graph: AtbGraph, kind: GraphKind): string {
    const { rows, ofLayers } = this.encoder.buildRowsGraphs(graph, kind);
    const [first = rows, ...others] = this.projectors.map((projector, index) => {
      const seen = ofLayers[(this.levels[index]?.depth ?? 0) - 1] ?? rows;
      return projector.buildGraph(graph, kind, seen);
    });
    if (this.levels[0]?.textLayer === 0) return besideRows(graph, first, others);
    return besideRows(graph, addScaled(graph, first, 0, 'no_embeddings'), [first, ...others]);
  }
}
