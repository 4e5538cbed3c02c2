import type { AtbGraph } from '../../../graph/atb-graph.js';
import type { GraphKind } from '../../../graph/graph-kind.js';
import type { BaseLayer } from '../../../layers/base-layer.js';
import type { PreNormLayer } from '../../../layers/decoder-layers.js';
import { gatherRows } from '../../../layers/gather-rows.js';
import { buildLinear } from '../../../layers/linear-steps.js';
import { Module } from '../../../layers/module.js';
import { BaseLayerNorm } from '../../../layers/norms.js';
import { addResidual } from '../../../layers/residual.js';
import {
  BUCKETED_POSITIONS,
  bucketedPositions,
  lengths,
  mergedSquares,
  PATCHES,
  patches,
  type StepInput,
} from '../../../step-inputs/index.js';
import type { Linear } from '../../../weights/linear.js';
import type { TensorRef, Weights } from '../../../weights/weights.js';
import type { Encoder } from '../flash-with-encoder-atb.js';
import { type ClipLayerSizes, clipLayers, patchLinear } from './clip-tower.js';

/** What SigLIP's encoder is told by the configuration. */
export interface SiglipSizes extends ClipLayerSizes {
  /** Pixels along a side of the square whose patches have positions of their own, and of a patch. */
  readonly imageSize: number;
  readonly patchSize: number;
}

/** SigLIP over patches of pictures of any shape, with learned positions (arXiv:2303.15343): [patches, hidden]. */
export class SiglipEncoder extends Module {
  readonly stepInputs: readonly StepInput[];
  readonly patchEmbedding: Linear;
  readonly layers: readonly PreNormLayer[];
  readonly norm: BaseLayerNorm;
  private readonly positions: TensorRef;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor(sizes: SiglipSizes, tower: Weights) {
    super();
    const { hiddenSize, patchSize, imageSize, layerNormEps } = sizes;
    const side = Math.floor(imageSize / patchSize);
    const embeddings = tower.at('embeddings');
    this.stepInputs = [patches(3 * patchSize * patchSize), bucketedPositions(side), lengths];
    this.patchEmbedding = patchLinear(embeddings, 'patch_embedding', hiddenSize, patchSize, true);
    this.positions = embeddings.get('position_embedding.weight', [side * side, hiddenSize]);
    this.layers = clipLayers(tower.at('encoder.layers'), sizes);
    this.norm = new BaseLayerNorm(tower.at('post_layernorm'), hiddenSize, layerNormEps, { hasBias: true });
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.positions];
  }

  /** Returns the name of the normed rows. */
  buildGraph(graph: AtbGraph, kind: GraphKind): string {
    const rows = gatherRows(graph, this.positions.name, BUCKETED_POSITIONS, 'position_rows');
    const embedded = buildLinear(graph, this.patchEmbedding, PATCHES, 'patch_embedding_out');
    let hidden = addResidual(graph, embedded, rows, 'positioned_patches');
    for (const layer of this.layers) hidden = layer.buildGraph(graph, kind, hidden);
    return this.norm.buildGraph(graph, hidden);
  }
}

/** The same over squares alone, of whose patches a projector makes tokens, block by block. */
export class SquareSiglipTower extends Module implements Encoder {
  readonly stepInputs: readonly StepInput[];
  readonly encoder: SiglipEncoder;
  readonly projector: BaseLayer;

  /** `mergeSize`: patches along a side of a block. `projector` reads `merged_patches`. Throws as `SiglipEncoder`. */
  constructor(
    { vision, mergeSize }: { readonly vision: SiglipSizes; readonly mergeSize: number },
    tower: Weights,
    projector: BaseLayer,
  ) {
    super();
    this.encoder = new SiglipEncoder(vision, tower);
    const side = Math.floor(vision.imageSize / vision.patchSize);
    this.stepInputs = [...this.encoder.stepInputs, mergedSquares(side, mergeSize, 0)];
    this.projector = projector;
  }

  buildGraph(graph: AtbGraph, kind: GraphKind): string {
    return this.projector.buildGraph(graph, kind, this.encoder.buildGraph(graph, kind));
  }
}
