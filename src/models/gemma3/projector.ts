import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { BaseLayer } from '../../layers/decoder/base-layer.js';
import { buildLinear } from '../../layers/linear/linear-steps.js';
import { OffsetRMSNorm } from '../../layers/norms/norms.js';
import { Linear } from '../../weights/linear.js';
import type { Weights } from '../../weights/weights.js';
import { buildBlockMean } from '../base/vision/index.js';
import type { Gemma3VisionConfig } from './config-gemma3.js';

/** A tensor whose name does not end as those of linears do. */
const NAMES = { 'mm_input_projection.weight': 'mm_input_projection_weight' };

/** The mean of each block of patches, normed and brought to the size of words: [patches, hidden] -> [tokens, out]. */
export class PooledProjector extends BaseLayer {
  readonly norm: OffsetRMSNorm;
  readonly proj: Linear;

  constructor(
    {
      vision: { numLayers, hiddenSize, layerNormEps },
      hiddenSize: outFeatures,
      mergeSize,
    }: Gemma3VisionConfig,
    weights: Weights,
  ) {
    super(numLayers, weights, 'projector');
    this.area = mergeSize ** 2;
    this.norm = new OffsetRMSNorm(weights.at('mm_soft_emb_norm'), hiddenSize, layerNormEps);
    const parts = [{ name: 'mm_input_projection', outFeatures, transposed: true }] as const;
    this.proj = Linear.load(weights.withNames(NAMES), { parts, inFeatures: hiddenSize });
  }

  private readonly area: number;

  protected buildLayerGraph(graph: AtbGraph, _kind: GraphKind, hidden: string): string {
    const mean = buildBlockMean(graph, hidden, this.area);
    return buildLinear(graph, this.proj, this.norm.buildGraph(graph, mean), 'projector_out');
  }
}
