import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import type { PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import { addResidual } from '../../layers/formulas/residual.js';
import { buildLinear } from '../../layers/linear/linear-steps.js';
import { Module } from '../../layers/module.js';
import { BaseLayerNorm, NoNorm } from '../../layers/norms/norms.js';
import {
  lengths,
  mergedPatches,
  PATCHES,
  POSITION_SHARES,
  patches,
  type StepInput,
  sampledPositions,
} from '../../step-inputs/index.js';
import { Linear } from '../../weights/linear.js';
import type { Weights } from '../../weights/weights.js';
import type { Encoder } from '../base/flash-with-encoder-atb.js';
import { clipLayers, PatchMerger } from '../base/vision/index.js';
import type { Lfm2VlConfig } from './config.js';

/** Of the projector's norm: the class leaves it to torch. */
const EPSILON = 1e-5;

/**
 * SigLIP 2 over pictures in their own shapes (NaFlex, arXiv:2502.14786, section 2.4): learned positions drawn out linearly.
 * Blocks of patches become tokens.
 */
export class Siglip2Tower extends Module implements Encoder {
  readonly stepInputs: readonly StepInput[];
  readonly patchEmbedding: Linear;
  readonly positions: Linear;
  readonly layers: readonly PreNormLayer[];
  readonly norm: BaseLayerNorm;
  readonly merger: PatchMerger;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor(config: Lfm2VlConfig, tower: Weights, projector: Weights) {
    super();
    const { vision, mergeSize, hiddenSize: outSize, projectorSize: innerSize, hasProjectorNorm } = config;
    const { hiddenSize, patchSize, positions, numLayers, layerNormEps } = vision;
    const [features, side, area] = [3 * patchSize ** 2, Math.floor(Math.sqrt(positions)), mergeSize ** 2];
    this.stepInputs = [
      patches(features),
      sampledPositions(side, mergeSize, 'linear'),
      lengths,
      mergedPatches(area),
    ];
    const embeddings = tower.at('embeddings');
    this.patchEmbedding = Linear.load(embeddings, {
      parts: [{ name: 'patch_embedding', outFeatures: hiddenSize }],
      inFeatures: features,
      hasBias: true,
    });
    this.positions = Linear.load(embeddings, {
      parts: [{ name: 'position_embedding', outFeatures: hiddenSize, transposed: true }],
      inFeatures: side * side,
    });
    this.layers = clipLayers(tower.at('encoder.layers'), vision);
    this.norm = new BaseLayerNorm(tower.at('post_layernorm'), hiddenSize, layerNormEps);
    this.merger = new PatchMerger(numLayers, projector, {
      ...{ hiddenSize, outSize, innerSize, area, normsBlocks: true },
      names: { norm: 'layer_norm', up: 'linear_1', down: 'linear_2' },
      norm: (at, size) => (hasProjectorNorm ? new BaseLayerNorm(at, size, EPSILON) : new NoNorm()),
    });
  }

  buildGraph(graph: AtbGraph, kind: GraphKind): string {
    const embedded = buildLinear(graph, this.patchEmbedding, PATCHES, 'patch_embedding_out');
    const places = buildLinear(graph, this.positions, POSITION_SHARES, 'position_embedding_out');
    let hidden = addResidual(graph, embedded, places, 'positioned_patches');
    for (const layer of this.layers) hidden = layer.buildGraph(graph, kind, hidden);
    return this.merger.buildGraph(graph, kind, this.norm.buildGraph(graph, hidden));
  }
}
