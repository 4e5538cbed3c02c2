import type { AtbGraph } from '../../../../graph/atb-graph.js';
import type { GraphKind } from '../../../../graph/graph-kind.js';
import { Module } from '../../../../layers/module.js';
import { evenWindow, neighbours, ofWholePictures, type StepInput } from '../../../../step-inputs/index.js';
import type { Weights } from '../../../../weights/weights.js';
import type { Encoder } from '../../flash-with-encoder-atb.js';
import { Convolution, SamEncoder, type SamSizes } from './tower.js';

/** Each of two convolutions takes every second row and column. */
const STRIDE = 2;

/** Patches along a side of a picture of so many pixels, and what is left of them behind each of the convolutions. */
export function reducedSides(imageSize: number, patchSize: number): readonly [number, number, number] {
  const first = Math.floor(imageSize / patchSize);
  const second = Math.ceil(first / STRIDE);
  return [first, second, Math.ceil(second / STRIDE)];
}

/** The convolutions behind SAM's encoder: where the checkpoint has them, under which names, how wide their rows are. */
export interface Reduction {
  readonly weights: Weights;
  readonly names: readonly [string, string];
  readonly sizes: readonly [number, number];
}

/** SAM's encoder, and two convolutions behind it, each of which leaves a quarter of its rows: [patches / 16, out]. */
export class ReducedSam extends Module implements Encoder {
  readonly stepInputs: readonly StepInput[];
  readonly encoder: SamEncoder;
  readonly convolutions: readonly Convolution[];

  /** `drawn`: see `SamEncoder`. Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor(sam: SamSizes, tower: Weights, { weights, names, sizes }: Reduction, drawn?: number) {
    super();
    const [first, second] = reducedSides(drawn ?? sam.imageSize, sam.patchSize);
    const area = first * first;
    this.encoder = new SamEncoder(sam, tower, drawn);
    this.stepInputs = [
      ...this.encoder.stepInputs,
      ...ofWholePictures(
        area,
        [first, second].map((side) => neighbours(evenWindow(side, 3, STRIDE), area)),
      ),
    ];
    const convolution = (at: 0 | 1, side: number, inSize: number): Convolution =>
      new Convolution(sam.numLayers + 1 + at, weights, {
        ...{ name: names[at], inSize, outSize: sizes[at], side, stride: STRIDE },
      });
    this.convolutions = [convolution(0, first, sam.outSize), convolution(1, second, sizes[0])];
  }

  buildGraph(graph: AtbGraph, kind: GraphKind): string {
    let rows = this.encoder.buildGraph(graph, kind);
    for (const convolution of this.convolutions) rows = convolution.buildGraph(graph, kind, rows);
    return rows;
  }
}
