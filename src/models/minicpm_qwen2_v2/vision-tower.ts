import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import type { PreNormLayer } from '../../layers/decoder-layers.js';
import { gatherRows } from '../../layers/gather-rows.js';
import { buildLinear } from '../../layers/linear-steps.js';
import { Module } from '../../layers/module.js';
import { BaseLayerNorm } from '../../layers/norms.js';
import { addResidual } from '../../layers/residual.js';
import {
  BUCKETED_POSITIONS,
  bucketedPositions,
  lengths,
  PATCHES,
  patches,
  resampling,
  type StepInput,
} from '../../step-inputs/index.js';
import type { Linear } from '../../weights/linear.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import type { Encoder } from '../base/flash-with-encoder-atb.js';
import { clipLayers, patchLinear } from '../base/vision/index.js';
import type { Minicpmqwen2v2Config } from './config.js';
import { Resampler } from './resampler.js';

/** SigLIP over patches of pictures of any shape (arXiv:2303.15343), and a resampler of what it gives. */
export class SiglipTower extends Module implements Encoder {
  readonly stepInputs: readonly StepInput[];
  readonly patchEmbedding: Linear;
  readonly layers: readonly PreNormLayer[];
  readonly norm: BaseLayerNorm;
  readonly resampler: Resampler;
  private readonly positions: TensorRef;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor(
    { vision, queries, hiddenSize: outSize }: Minicpmqwen2v2Config,
    { tower, resampler }: { readonly tower: Weights; readonly resampler: Weights },
  ) {
    super();
    const { hiddenSize, patchSize, imageSize, numLayers, layerNormEps } = vision;
    const side = Math.floor(imageSize / patchSize);
    const embeddings = tower.at('embeddings');
    this.stepInputs = [
      patches(3 * patchSize * patchSize),
      bucketedPositions(side),
      lengths,
      resampling(queries, outSize),
    ];
    this.patchEmbedding = patchLinear(embeddings, 'patch_embedding', hiddenSize, patchSize, true);
    this.positions = embeddings.get('position_embedding.weight', [side * side, hiddenSize]);
    this.layers = clipLayers(tower.at('encoder.layers'), vision);
    this.norm = new BaseLayerNorm(tower.at('post_layernorm'), hiddenSize, layerNormEps, { hasBias: true });
    this.resampler = new Resampler(numLayers, resampler, { inSize: hiddenSize, outSize, queries });
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.positions];
  }

  buildGraph(graph: AtbGraph, kind: GraphKind): string {
    const rows = gatherRows(graph, this.positions.name, BUCKETED_POSITIONS, 'position_rows');
    const embedded = buildLinear(graph, this.patchEmbedding, PATCHES, 'patch_embedding_out');
    let hidden = addResidual(graph, embedded, rows, 'positioned_patches');
    for (const layer of this.layers) hidden = layer.buildGraph(graph, kind, hidden);
    return this.resampler.buildGraph(graph, kind, this.norm.buildGraph(graph, hidden));
  }
}
