import type { AtbGraph } from '../../../graph/atb-graph.js';
import type { GraphKind } from '../../../graph/graph-kind.js';
import type { PositionFreeAttention } from '../../../layers/attention/attention-orders.js';
import type { LayerStep, PreNormLayer } from '../../../layers/decoder/decoder-layers.js';
import { gatherRows } from '../../../layers/formulas/gather-rows.js';
import { addResidual } from '../../../layers/formulas/residual.js';
import { buildLinear } from '../../../layers/linear/linear-steps.js';
import { Module } from '../../../layers/module.js';
import { BaseLayerNorm, NoNorm, type NormStep } from '../../../layers/norms/norms.js';
import {
  BUCKETED_POSITIONS,
  bucketedPositions,
  gridPositions,
  lengths,
  mergedSquares,
  PATCHES,
  patches,
  type StepInput,
} from '../../../step-inputs/index.js';
import type { Linear } from '../../../weights/linear.js';
import type { TensorRef, Weights } from '../../../weights/weights.js';
import type { Encoder } from '../flash-with-encoder-atb.js';
import {
  type ClipLayerNames,
  type ClipLayerSizes,
  clipLayers,
  type LaterLayers,
  patchLinear,
} from './clip-tower.js';
import { buildEachLayer, takenOf } from './feature-layer.js';
import { ProjectedTower } from './projected-tower.js';

/** What SigLIP's encoder is told by the configuration. */
export interface SiglipSizes extends ClipLayerSizes {
  /** Pixels along a side of the square whose patches have positions of their own, and of a patch. */
  readonly imageSize: number;
  readonly patchSize: number;
}

/**
 * What an encoder reads in place of what another one in the same graph does, and the number of its first layer there.
 */
export interface SecondEncoder extends Omit<LaterLayers, 'first'> {
  readonly patches: string;
  readonly positions: string;
}

/** In what encoders of SigLIP's kind differ. */
export interface SiglipParts {
  /** Which row of a table of `side` x `side` learned positions each patch takes, as `bucketed_positions`. */
  readonly positions?: (side: number) => StepInput;
  /** Whether a norm follows the last of the layers that are computed; true when absent. */
  readonly hasNorm?: boolean;
  /** See `takenOf`. */
  readonly taken?: readonly number[] | undefined;
  /** Attention of its layers, where it is not of all patches of a picture to each other. */
  readonly attention?: typeof PositionFreeAttention;
  /** What the checkpoint calls the parts of its layers, where that is not as in CLIP's. */
  readonly names?: ClipLayerNames;
  /** Where another encoder is in the same graph. */
  readonly second?: SecondEncoder;
  /** All that its graph reads, where that is not patches, their positions and how many see each other. */
  readonly stepInputs?: readonly StepInput[];
}

/** SigLIP over patches of pictures of any shape, with learned positions (arXiv:2303.15343): [patches, hidden]. */
export class SiglipEncoder extends Module implements Encoder {
  readonly stepInputs: readonly StepInput[];
  readonly patchEmbedding: Linear;
  readonly layers: readonly PreNormLayer[];
  readonly norm: NormStep;
  private readonly positions: TensorRef;
  private readonly taken: readonly number[] | undefined;
  private readonly reads: { readonly patches: string; readonly positions: string };

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor(
    sizes: SiglipSizes,
    tower: Weights,
    {
      positions: positionsOf = bucketedPositions,
      hasNorm = true,
      taken,
      attention,
      names,
      second,
      stepInputs,
    }: SiglipParts = {},
  ) {
    super();
    const { hiddenSize, patchSize, imageSize, layerNormEps } = sizes;
    const side = Math.floor(imageSize / patchSize);
    const embeddings = tower.at('embeddings');
    this.stepInputs = stepInputs ?? [patches(3 * patchSize * patchSize), positionsOf(side), lengths];
    this.patchEmbedding = patchLinear(embeddings, 'patch_embedding', hiddenSize, patchSize, true);
    this.positions = embeddings.get('position_embedding.weight', [side * side, hiddenSize]);
    const { patches: read = PATCHES, positions: places = BUCKETED_POSITIONS, ...later } = second ?? {};
    this.reads = { patches: read, positions: places };
    const own = second && { seqLen: second.seqLen, ...later, first: 0 };
    this.layers = clipLayers(tower.at('encoder.layers'), sizes, attention, names, own);
    this.norm = hasNorm
      ? new BaseLayerNorm(tower.at('post_layernorm'), hiddenSize, layerNormEps, { hasBias: true })
      : new NoNorm();
    this.taken = taken;
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.positions];
  }

  /** Returns the name of the rows. */
  buildGraph(graph: AtbGraph, kind: GraphKind): string {
    return this.buildRowsGraphs(graph, kind).rows;
  }

  /** Returns the names of the rows, and of what each layer gives. */
  buildRowsGraphs(graph: AtbGraph, kind: GraphKind): { readonly rows: string; readonly ofLayers: string[] } {
    const { patches: read, positions } = this.reads;
    const rows = gatherRows(graph, this.positions.name, positions, 'position_rows');
    const embedded = buildLinear(graph, this.patchEmbedding, read, 'patch_embedding_out');
    const placed = addResidual(graph, embedded, rows, 'positioned_patches');
    const [input, ...ofLayers] = buildEachLayer(graph, kind, this.layers, placed);
    const taken = takenOf(graph, [input, ...ofLayers], this.taken);
    return { rows: this.norm.buildGraph(graph, taken), ofLayers };
  }
}

/** The same over squares alone, of whose patches a projector makes tokens, block by block. */
export class SquareSiglipTower extends ProjectedTower {
  /**
   * `mergeSize`: patches along a side of a block. `projector` reads `merged_patches`; `parts`: see
   * `SiglipEncoder`, which throws the same.
   */
  constructor(
    { vision, mergeSize }: { readonly vision: SiglipSizes; readonly mergeSize: number },
    tower: Weights,
    projector: LayerStep,
    parts: SiglipParts = { positions: gridPositions },
  ) {
    const side = Math.floor(vision.imageSize / vision.patchSize);
    super(new SiglipEncoder(vision, tower, parts), projector, [mergedSquares(side, mergeSize, 0)]);
  }
}
