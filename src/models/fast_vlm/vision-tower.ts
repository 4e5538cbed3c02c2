import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import type { BaseLayer } from '../../layers/decoder/base-layer.js';
import { Module } from '../../layers/module.js';
import {
  evenWindow,
  neighbours,
  ofWholePictures,
  PATCHES,
  patches,
  pooledRows,
  type StepInput,
  squareLens,
} from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import type { Encoder } from '../base/flash-with-encoder-atb.js';
import { FastVitAttention, FastVitDownsampling, FastVitEnd, FastVitMixer, FastVitStem } from './blocks.js';
import { type FastVlmConfig, PIXELS } from './config.js';

/** Stages from this one on attend. */
const FIRST_ATTENDING = 3;

/** FastViTHD, an encoder of convolutions whose last stages attend (arXiv:2412.13303, section 3.2): [tokens, hidden]. */
export class FastVitTower extends Module implements Encoder {
  readonly stepInputs: readonly StepInput[];
  readonly layers: readonly BaseLayer[];

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor(
    {
      vision,
      tokensAlong,
    }: {
      readonly vision: Pick<FastVlmConfig['vision'], 'widths' | 'depths' | 'ratios'>;
      readonly tokensAlong: number;
    },
    weights: Weights,
  ) {
    super();
    const { widths, depths, ratios } = vision;
    const [area, pixels] = [tokensAlong ** 2, tokensAlong * PIXELS];
    const [first = 0] = widths;
    const layers: BaseLayer[] = [new FastVitStem(weights.at('stem'), PIXELS ** 2, pixels, first)];
    const lens: StepInput[] = [];
    let side = pixels / 4;
    for (const [stage, size] of widths.entries()) {
      const at = weights.at('stages').at(stage);
      const attends = stage >= FIRST_ATTENDING;
      if (stage > 0) {
        const sizes = { side, inSize: widths[stage - 1] ?? 0, outSize: size, attends };
        layers.push(new FastVitDownsampling(layers.length - 1, at, sizes));
        side /= 2;
      }
      const Block = attends ? FastVitAttention : FastVitMixer;
      for (let index = 0; index < (depths[stage] ?? 0); index++)
        layers.push(
          new Block(at.at('blocks').at(index), {
            ...{ layerId: layers.length - 1, side, size, inner: Math.trunc(size * (ratios[stage] ?? 0)) },
          }),
        );
      if (attends) lens.push(squareLens(side ** 2, side ** 2, area));
    }
    layers.push(new FastVitEnd(layers.length - 1, weights.at('final_conv'), side, widths.at(-1) ?? 0));
    this.layers = layers;
    this.stepInputs = ofWholePictures(area, [
      patches(3 * PIXELS ** 2),
      neighbours(evenWindow(pixels, 3, 2), area, PIXELS),
      ...lens,
      pooledRows(side, side, area),
    ]);
  }

  buildGraph(graph: AtbGraph, kind: GraphKind): string {
    return this.layers.reduce((hidden, layer) => layer.buildGraph(graph, kind, hidden), PATCHES);
  }
}
