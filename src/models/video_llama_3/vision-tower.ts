import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { RotaryAttention } from '../../layers/attention/attention-orders.js';
import type { PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import { buildLinear } from '../../layers/linear/linear-steps.js';
import { Module } from '../../layers/module.js';
import { BaseLayerNorm } from '../../layers/norms/norms.js';
import {
  axialRotary,
  lengths,
  PATCHES,
  packedRows,
  patches,
  type StepInput,
} from '../../step-inputs/index.js';
import type { Linear } from '../../weights/linear.js';
import type { Weights } from '../../weights/weights.js';
import type { Encoder } from '../base/flash-with-encoder-atb.js';
import { clipLayers, patchLinear, RowMixing, RowProjector } from '../base/vision/index.js';
import type { VideoLlama3Config } from './config.js';

/**
 * SigLIP over frames in their own shapes, each by itself, with rotary positions of two axes alone; of blocks of patches
 * means, or what lies in their middle, become tokens (arXiv:2501.13106, section 2.1). Patches come row by row.
 */
export class VideoLlama3Tower extends Module implements Encoder {
  readonly stepInputs: readonly StepInput[];
  readonly patchEmbedding: Linear;
  readonly layers: readonly PreNormLayer[];
  readonly norm: BaseLayerNorm;
  readonly mixing: RowMixing;
  readonly projector: RowProjector;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor({ vision, hiddenSize: outSize }: VideoLlama3Config, tower: Weights, projector: Weights) {
    super();
    const { hiddenSize, numHeads, patchSize, numLayers, layerNormEps, theta } = vision;
    this.stepInputs = [
      patches(3 * patchSize ** 2),
      axialRotary({ theta, headDim: hiddenSize / numHeads, mergeSize: 1 }),
      lengths,
      packedRows(true, 1, false),
    ];
    this.patchEmbedding = patchLinear(tower.at('embeddings'), 'patch_embedding', hiddenSize, patchSize, true);
    this.layers = clipLayers(tower.at('encoder.layers'), vision, RotaryAttention);
    this.norm = new BaseLayerNorm(tower.at('post_layernorm'), hiddenSize, layerNormEps);
    this.mixing = new RowMixing(numLayers, tower);
    this.projector = new RowProjector(projector.at('readout'), {
      ...{ inSize: hiddenSize, outSize, hasBias: true, act: 'gelu' },
      names: { up: '0', down: '2' },
    });
  }

  buildGraph(graph: AtbGraph, kind: GraphKind): string {
    let hidden = buildLinear(graph, this.patchEmbedding, PATCHES, 'patch_embedding_out');
    for (const layer of this.layers) hidden = layer.buildGraph(graph, kind, hidden);
    const mixed = this.mixing.buildGraph(graph, kind, this.norm.buildGraph(graph, hidden));
    return this.projector.buildGraph(graph, kind, mixed);
  }
}
