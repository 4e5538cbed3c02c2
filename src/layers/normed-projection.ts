import type { AtbGraph } from '../graph/atb-graph.js';
import { Linear } from '../weights/linear.js';
import type { Weights } from '../weights/weights.js';
import { buildLinear } from './linear-steps.js';
import { Module } from './module.js';
import type { NormStep } from './norms.js';

/** How wide the embeddings of words are, and what is made of them. */
interface EmbeddingSizes {
  readonly embeddingSize: number;
  readonly hiddenSize: number;
}

/** What follows the sums of embeddings: their norm, and a product that makes them as wide as the hidden states. */
export class NormedProjection extends Module implements NormStep {
  readonly project: Linear;

  /** `name`: the checkpoint's of the product. Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor(
    readonly norm: NormStep,
    weights: Weights,
    name: string,
    { embeddingSize, hiddenSize }: EmbeddingSizes,
  ) {
    super();
    this.project = Linear.load(weights, {
      parts: [{ name, outFeatures: hiddenSize }],
      inFeatures: embeddingSize,
      hasBias: true,
    });
  }

  /** `input` [tokens, embeddingSize] -> `embeddings_project_out` [tokens, hiddenSize]. */
  buildGraph(graph: AtbGraph, input: string): string {
    return buildLinear(graph, this.project, this.norm.buildGraph(graph, input), 'embeddings_project_out');
  }
}
