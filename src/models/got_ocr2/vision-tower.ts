import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { buildLinear } from '../../layers/linear-steps.js';
import { Module } from '../../layers/module.js';
import { evenWindow, neighbours, ofWholePictures, type StepInput } from '../../step-inputs/index.js';
import { Linear } from '../../weights/linear.js';
import type { Weights } from '../../weights/weights.js';
import type { Encoder } from '../base/flash-with-encoder-atb.js';
import { Convolution, SamEncoder } from '../base/vision/index.js';
import type { GotOcrConfig } from './config.js';

/** Each of two convolutions takes every second row and column. */
const STRIDE = 2;

/** Patches along a side of a picture, and what is left of them behind each of the convolutions. */
const sidesOf = ({ vision }: GotOcrConfig): readonly [number, number, number] => {
  const first = Math.floor(vision.imageSize / vision.patchSize);
  const second = Math.ceil(first / STRIDE);
  return [first, second, Math.ceil(second / STRIDE)];
};

/** Tokens along a side of a picture. */
export const tokensAlong = (config: GotOcrConfig): number => sidesOf(config)[2];

/** SAM's encoder, and two convolutions of whose rows each becomes a token: [patches / 16, out]. */
export class GotOcrTower extends Module implements Encoder {
  readonly stepInputs: readonly StepInput[];
  readonly encoder: SamEncoder;
  readonly convolutions: readonly Convolution[];
  readonly proj: Linear;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor(config: GotOcrConfig, tower: Weights, projector: Weights) {
    super();
    const { vision, hiddenSize } = config;
    const [first, second] = sidesOf(config);
    this.encoder = new SamEncoder(vision, tower);
    this.stepInputs = [
      ...this.encoder.stepInputs,
      ...ofWholePictures(
        first * first,
        [first, second].map((side) => neighbours(evenWindow(side, 3, STRIDE), first * first)),
      ),
    ];
    const { outSize, numLayers } = vision;
    const convolution = (at: number, side: number, inSize: number, out: number): Convolution =>
      new Convolution(numLayers + at, projector, {
        ...{ name: `conv_upsampler${at}`, inSize, outSize: out, side, stride: STRIDE },
      });
    this.convolutions = [
      convolution(1, first, outSize, 2 * outSize),
      convolution(2, second, 2 * outSize, hiddenSize),
    ];
    this.proj = Linear.load(projector, {
      parts: [{ name: 'multimodal_projector', outFeatures: hiddenSize }],
      inFeatures: hiddenSize,
      hasBias: true,
    });
  }

  buildGraph(graph: AtbGraph, kind: GraphKind): string {
    let rows = this.encoder.buildGraph(graph, kind);
    for (const convolution of this.convolutions) rows = convolution.buildGraph(graph, kind, rows);
    return buildLinear(graph, this.proj, rows, 'projector_out');
  }
}
