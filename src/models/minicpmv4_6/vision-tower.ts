import { type AtbGraph, dim } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { PositionFreeAttention } from '../../layers/attention/attention-orders.js';
import { encoderAttention } from '../../layers/attention-config.js';
import { BaseLayer } from '../../layers/decoder/base-layer.js';
import type { PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import { gatherRows } from '../../layers/formulas/gather-rows.js';
import { addResidual } from '../../layers/formulas/residual.js';
import { buildLinear } from '../../layers/linear/linear-steps.js';
import { Module } from '../../layers/module.js';
import { BaseLayerNorm } from '../../layers/norms/norms.js';
import {
  BUCKETED_POSITIONS,
  bucketedPositions,
  bucketsByQuotient,
  lengths,
  MERGED_BLOCKS,
  MERGED_PATCHES,
  mergedBlocks,
  mergedPatches,
  PATCHES,
  patches,
  type StepInput,
  WINDOW_LENS,
  windowLens,
} from '../../step-inputs/index.js';
import type { Linear } from '../../weights/linear.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import type { Encoder } from '../base/flash-with-encoder-atb.js';
import {
  buildBlockMean,
  type ClipLayerSizes,
  clipLayers,
  PatchMerger,
  patchLinear,
  RowProjector,
} from '../base/vision/index.js';
import type { SlicedVision } from './config.js';

/** Patches of a block. */
const AREA = 4;
/** Of the norm before the projector, whatever the configuration says. */
const EPSILON = 1e-6;
/** How many rows a picture has behind the layers of patches. */
const MERGED_LENS = 'merged_len';

/**
 * Patches of each block see each other and become one row, their mean and what an MLP makes of all of them:
 * [patches, hidden] -> [patches / 4, hidden].
 */
class WindowMerger extends BaseLayer {
  readonly attentionNorm: BaseLayerNorm;
  readonly selfAttn: PositionFreeAttention;
  readonly norm: BaseLayerNorm;
  readonly mlp: RowProjector;

  constructor(
    layerId: number,
    weights: Weights,
    { hiddenSize, intermediateSize, numHeads, layerNormEps }: ClipLayerSizes,
  ) {
    super(layerId, weights, 'window_merger');
    const attention = encoderAttention({ hiddenSize, numHeads, qkvBias: true, denseBias: true });
    const inSize = AREA * hiddenSize;
    this.attentionNorm = new BaseLayerNorm(weights.at('layer_norm1'), hiddenSize, layerNormEps);
    this.selfAttn = new PositionFreeAttention(0, attention, weights.at('self_attn'), {
      dense: 'out_proj',
      seqLen: WINDOW_LENS,
    });
    this.norm = new BaseLayerNorm(weights.at('pre_norm'), inSize, layerNormEps);
    const innerSize = AREA * intermediateSize;
    const sizes = { inSize, innerSize, outSize: hiddenSize, hasBias: true, act: 'gelu_tanh' } as const;
    this.mlp = new RowProjector(weights, sizes);
  }

  protected buildLayerGraph(graph: AtbGraph, kind: GraphKind, hidden: string): string {
    const attended = this.selfAttn.buildGraph(graph, kind, this.attentionNorm.buildGraph(graph, hidden));
    const residual = addResidual(graph, hidden, attended, 'attn_residual');
    const mean = buildBlockMean(graph, residual, AREA);
    graph.addReshape('merged_hidden', 'merged_rows', [dim(0), dim(1, 2)]);
    const mixed = this.mlp.buildGraph(graph, kind, this.norm.buildGraph(graph, 'merged_rows'));
    return addResidual(graph, mean, mixed, 'layer_out');
  }
}

/**
 * SigLIP over slices, whose patches come block by block. Behind some of its layers blocks become rows, where the mode
 * says so; what the last one gives becomes tokens block by block.
 */
export class SlicedTower extends Module implements Encoder {
  readonly stepInputs: readonly StepInput[];
  readonly patchEmbedding: Linear;
  readonly layers: readonly (PreNormLayer | WindowMerger)[];
  readonly norm: BaseLayerNorm;
  readonly merger: PatchMerger;
  private readonly positions: TensorRef;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor(config: SlicedVision, tower: Weights, projector: Weights) {
    super();
    const { vision, mode, layersOfPatches, hiddenSize: outSize } = config;
    const { hiddenSize, patchSize, imageSize, numLayers, layerNormEps } = vision;
    const side = Math.floor(imageSize / patchSize);
    const embeddings = tower.at('embeddings');
    this.patchEmbedding = patchLinear(embeddings, 'patch_embedding', hiddenSize, patchSize, true);
    this.positions = embeddings.get('position_embedding.weight', [side * side, hiddenSize]);
    const at = tower.at('encoder.layers');
    const first = clipLayers(at, { ...vision, numLayers: layersOfPatches });
    const read = [
      patches(3 * patchSize * patchSize),
      bucketedPositions(side, bucketsByQuotient, config.block),
      lengths,
      mergedPatches(AREA),
    ];
    const isTwice = mode === '16x';
    const later = { first: layersOfPatches, seqLen: MERGED_LENS };
    this.layers = isTwice
      ? [
          ...first,
          new WindowMerger(numLayers, tower.at('vit_merger'), vision),
          ...clipLayers(at, vision, PositionFreeAttention, undefined, later),
        ]
      : first;
    this.stepInputs = isTwice
      ? [
          ...read,
          windowLens(({ rows }) => new Int32Array(rows / AREA).fill(AREA)),
          windowLens(({ rows }) => Int32Array.of(rows / AREA), MERGED_LENS),
          mergedBlocks,
        ]
      : read;
    this.norm = new BaseLayerNorm(tower.at('post_layernorm'), hiddenSize, layerNormEps);
    this.merger = new PatchMerger(numLayers + 1, projector.at('mlp').at(0), {
      ...{
        hiddenSize,
        outSize,
        area: AREA,
        normsBlocks: true,
        rows: isTwice ? MERGED_BLOCKS : MERGED_PATCHES,
      },
      names: { norm: 'pre_norm', up: 'linear_1', down: 'linear_2' },
      norm: (weights, size) => new BaseLayerNorm(weights, size, EPSILON),
    });
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.positions];
  }

  buildGraph(graph: AtbGraph, kind: GraphKind): string {
    const rows = gatherRows(graph, this.positions.name, BUCKETED_POSITIONS, 'position_rows');
    const embedded = buildLinear(graph, this.patchEmbedding, PATCHES, 'patch_embedding_out');
    let hidden = addResidual(graph, embedded, rows, 'positioned_patches');
    for (const layer of this.layers) hidden = layer.buildGraph(graph, kind, hidden);
    return this.merger.buildGraph(graph, kind, this.norm.buildGraph(graph, hidden));
  }
}
