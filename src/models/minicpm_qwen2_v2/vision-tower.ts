import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { Module } from '../../layers/module.js';
import { resampling, type StepInput } from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import type { Encoder } from '../base/flash-with-encoder-atb.js';
import { SiglipEncoder } from '../base/vision/index.js';
import type { Minicpmqwen2v2Config } from './config.js';
import { Resampler } from './resampler.js';

/** SigLIP, and a resampler of what it gives. */
export class SiglipTower extends Module implements Encoder {
  readonly stepInputs: readonly StepInput[];
  readonly encoder: SiglipEncoder;
  readonly resampler: Resampler;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor(
    { vision, queries, hiddenSize: outSize }: Minicpmqwen2v2Config,
    { tower, resampler }: { readonly tower: Weights; readonly resampler: Weights },
  ) {
    super();
    this.encoder = new SiglipEncoder(vision, tower);
    this.stepInputs = [...this.encoder.stepInputs, resampling(queries, outSize)];
    const sizes = { inSize: vision.hiddenSize, outSize, queries };
    this.resampler = new Resampler(vision.numLayers, resampler, sizes);
  }

  buildGraph(graph: AtbGraph, kind: GraphKind): string {
    return this.resampler.buildGraph(graph, kind, this.encoder.buildGraph(graph, kind));
  }
}
