import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { Linear } from '../../weights/linear.js';
import type { Weights } from '../../weights/weights.js';
import { buildLinear, buildRowParallelLinear } from '../linear/linear-steps.js';
import { SparseMLP, type SparseMLPParts } from './experts.js';

/** What of the configuration the projections around experts are told. */
export interface LatentSizes {
  readonly hiddenSize: number;
  readonly latentSize: number;
  readonly mlpBias: boolean;
}

/** Experts that read and write fewer numbers than a hidden state has, projected to them and back. */
export class LatentSparseMLP extends SparseMLP {
  readonly into: Linear;
  readonly outOf: Linear;

  /** The experts' hidden size is the latent one. Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_QUANT_*. */
  constructor(
    { hiddenSize, latentSize, mlpBias: hasBias }: LatentSizes,
    weights: Weights,
    parts: SparseMLPParts,
  ) {
    super(parts);
    const projection = (name: string, inFeatures: number, outFeatures: number) =>
      Linear.load(weights, { parts: [{ name, outFeatures }], inFeatures, hasBias });
    this.into = projection('fc1_latent_proj', hiddenSize, latentSize);
    this.outOf = projection('fc2_latent_proj', latentSize, hiddenSize);
  }

  protected override buildRoutedGraph(graph: AtbGraph, kind: GraphKind, input: string): string {
    const choice = this.router.buildGraph(graph, input);
    const latent = buildLinear(graph, this.into, input, 'latent_out');
    const routed = this.experts.buildGraph(graph, latent, choice);
    return buildRowParallelLinear(graph, kind, 'latent_back', this.outOf, routed, 'latent_back_out');
  }
}
