import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { RotaryAttention } from '../../layers/attention/attention-orders.js';
import type { PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import { sumOfRows } from '../../layers/formulas/gather-rows.js';
import { addResidual } from '../../layers/formulas/residual.js';
import { buildLinear } from '../../layers/linear/linear-steps.js';
import { Module } from '../../layers/module.js';
import { BaseLayerNorm } from '../../layers/norms/norms.js';
import {
  axialRotary,
  CORNERS,
  interpolatedPositions,
  lengths,
  mergedPatches,
  PATCHES,
  patches,
  type StepInput,
} from '../../step-inputs/index.js';
import type { Linear } from '../../weights/linear.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import type { Encoder } from '../base/flash-with-encoder-atb.js';
import { clipLayers, PatchMerger, patchLinear } from '../base/vision/index.js';
import type { PaddleOcrVlConfig } from './config.js';

/** Of the projector's norm: the class has it so. */
const EPSILON = 1e-5;

/**
 * SigLIP over pictures in their own shapes, with positions of two kinds: learned ones, drawn out bilinearly, and
 * rotary ones (arXiv:2510.14528, section 2.2). Blocks of patches become tokens.
 */
export class PaddleOcrTower extends Module implements Encoder {
  readonly stepInputs: readonly StepInput[];
  readonly patchEmbedding: Linear;
  readonly layers: readonly PreNormLayer[];
  readonly norm: BaseLayerNorm;
  readonly merger: PatchMerger;
  private readonly positions: TensorRef;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor({ vision, hiddenSize: outSize }: PaddleOcrVlConfig, tower: Weights, projector: Weights) {
    super();
    const { hiddenSize, numHeads, patchSize, imageSize, mergeSize, numLayers, layerNormEps, theta } = vision;
    const [side, area] = [Math.floor(imageSize / patchSize), mergeSize ** 2];
    this.stepInputs = [
      patches(3 * patchSize ** 2),
      interpolatedPositions(side, mergeSize, 'edges'),
      axialRotary({ theta, headDim: hiddenSize / numHeads, mergeSize }),
      lengths,
      mergedPatches(area),
    ];
    const embeddings = tower.at('embeddings');
    this.patchEmbedding = patchLinear(embeddings, 'patch_embedding', hiddenSize, patchSize, true);
    this.positions = embeddings.get('position_embedding.weight', [side * side, hiddenSize]);
    this.layers = clipLayers(tower.at('encoder.layers'), vision, RotaryAttention);
    this.norm = new BaseLayerNorm(tower.at('post_layernorm'), hiddenSize, layerNormEps);
    this.merger = new PatchMerger(numLayers, projector, {
      ...{ hiddenSize, outSize, area, normsBlocks: false },
      names: { norm: 'pre_norm', up: 'linear_1', down: 'linear_2' },
      norm: (at, size) => new BaseLayerNorm(at, size, EPSILON),
    });
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.positions];
  }

  buildGraph(graph: AtbGraph, kind: GraphKind): string {
    const embedded = buildLinear(graph, this.patchEmbedding, PATCHES, 'patch_embedding_out');
    const places = sumOfRows(graph, this.positions.name, CORNERS, 'position_sum');
    let hidden = addResidual(graph, embedded, places, 'positioned_patches');
    for (const layer of this.layers) hidden = layer.buildGraph(graph, kind, hidden);
    return this.merger.buildGraph(graph, kind, this.norm.buildGraph(graph, hidden));
  }
}
