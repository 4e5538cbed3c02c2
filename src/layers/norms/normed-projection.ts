import type { AtbGraph } from '../../graph/atb-graph.js';
import { Linear } from '../../weights/linear.js';
import type { Weights } from '../../weights/weights.js';
import { buildLinear } from '../linear/linear-steps.js';
import { Module } from '../module.js';
import type { NormStep } from './norms.js';

/** How wide the embeddings of words are, and what is made of them. */
interface EmbeddingSizes {
  readonly embeddingSize: number;
  readonly hiddenSize: number;
  /** Whether the product has a bias; true when absent. */
  readonly hasBias?: boolean;
}

/** A norm, and a product that makes embeddings as wide as hidden states, or these as wide as what a model gives. */
export class NormedProjection extends Module implements NormStep {
  readonly project: Linear;

  /** `name`: the checkpoint's of the product. Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor(
    readonly norm: NormStep,
    weights: Weights,
    name: string,
    { embeddingSize, hiddenSize, hasBias = true }: EmbeddingSizes,
  ) {
    super();
    this.project = Linear.load(weights, {
      parts: [{ name, outFeatures: hiddenSize }],
      inFeatures: embeddingSize,
      hasBias,
    });
  }

  /** `input` [tokens, embeddingSize] -> `embeddings_project_out` [tokens, hiddenSize]. */
  buildGraph(graph: AtbGraph, input: string): string {
    return buildLinear(graph, this.project, this.norm.buildGraph(graph, input), 'embeddings_project_out');
  }
}
