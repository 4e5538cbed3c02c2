import { type AtbGraph, BaseOperation } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { BaseLayer } from '../../layers/base-layer.js';
import { gatherRows } from '../../layers/gather-rows.js';
import { buildLinear } from '../../layers/linear-steps.js';
import { Module } from '../../layers/module.js';
import { OffsetRMSNorm } from '../../layers/norms.js';
import { addScaled } from '../../layers/residual.js';
import { MERGED_PATCHES, mergedSquares, type StepInput } from '../../step-inputs/index.js';
import { Linear } from '../../weights/linear.js';
import type { Weights } from '../../weights/weights.js';
import type { Encoder } from '../base/flash-with-encoder-atb.js';
import { SiglipEncoder } from '../base/vision/index.js';
import type { Gemma3VisionConfig } from './config-gemma3.js';

/** The mean of each block of patches, normed and brought to the size of words: [patches, hidden] -> [tokens, out]. */
class PooledProjector extends BaseLayer {
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
    const name = 'mm_input_projection';
    const part = { name, weightName: `${name}_weight`, outFeatures, transposed: true };
    this.proj = Linear.load(weights, { parts: [part], inFeatures: hiddenSize });
  }

  private readonly area: number;

  protected buildLayerGraph(graph: AtbGraph, _kind: GraphKind, hidden: string): string {
    const blocks = gatherRows(graph, hidden, MERGED_PATCHES, 'merged_hidden');
    const sum = new BaseOperation('Reduce', { reduceType: 'REDUCE_SUM', axis: [1] }, 'block_sum');
    graph.addOperation(sum, [blocks], ['block_sum']);
    const mean = addScaled(graph, 'block_sum', 1 / this.area, 'block_mean');
    return buildLinear(graph, this.proj, this.norm.buildGraph(graph, mean), 'projector_out');
  }
}

/** SigLIP over squares, of whose patches blocks become tokens (arXiv:2503.19786, section 2). */
export class Gemma3VisionTower extends Module implements Encoder {
  readonly stepInputs: readonly StepInput[];
  readonly encoder: SiglipEncoder;
  readonly projector: PooledProjector;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor(config: Gemma3VisionConfig, tower: Weights, projector: Weights) {
    super();
    const { vision, mergeSize } = config;
    this.encoder = new SiglipEncoder(vision, tower);
    const side = Math.floor(vision.imageSize / vision.patchSize);
    this.stepInputs = [...this.encoder.stepInputs, mergedSquares(side, mergeSize, 0)];
    this.projector = new PooledProjector(config, projector);
  }

  buildGraph(graph: AtbGraph, kind: GraphKind): string {
    return this.projector.buildGraph(graph, kind, this.encoder.buildGraph(graph, kind));
  }
}
