import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { buildLinear } from '../../layers/linear/linear-steps.js';
import { Module } from '../../layers/module.js';
import type { StepInput } from '../../step-inputs/index.js';
import { Linear } from '../../weights/linear.js';
import type { Weights } from '../../weights/weights.js';
import type { Encoder } from '../base/flash-with-encoder-atb.js';
import { ReducedSam, reducedSides } from '../base/vision/index.js';
import type { GotOcrConfig } from './config.js';

/** Tokens along a side of a picture. */
export const tokensAlong = ({ vision }: GotOcrConfig): number =>
  reducedSides(vision.imageSize, vision.patchSize)[2];

/** SAM's encoder, and two convolutions of whose rows each becomes a token: [patches / 16, out]. */
export class GotOcrTower extends Module implements Encoder {
  readonly stepInputs: readonly StepInput[];
  readonly encoder: ReducedSam;
  readonly proj: Linear;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor({ vision, hiddenSize }: GotOcrConfig, tower: Weights, projector: Weights) {
    super();
    this.encoder = new ReducedSam(vision, tower, {
      weights: projector,
      names: ['conv_upsampler1', 'conv_upsampler2'],
      sizes: [2 * vision.outSize, hiddenSize],
    });
    this.stepInputs = this.encoder.stepInputs;
    this.proj = Linear.load(projector, {
      parts: [{ name: 'multimodal_projector', outFeatures: hiddenSize }],
      inFeatures: hiddenSize,
      hasBias: true,
    });
  }

  buildGraph(graph: AtbGraph, kind: GraphKind): string {
    return buildLinear(graph, this.proj, this.encoder.buildGraph(graph, kind), 'projector_out');
  }
}
