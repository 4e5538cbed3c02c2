import { type ActivationKind, CommonOpBuilderManager } from '../../common-op-builders/index.js';
import { type AtbGraph, BaseOperation, dim } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { RotaryAttention } from '../../layers/attention-orders.js';
import { encoderAttention } from '../../layers/base-attention.js';
import { BaseLayer } from '../../layers/base-layer.js';
import { PreNormLayer } from '../../layers/decoder-layers.js';
import { gatherRows } from '../../layers/gather-rows.js';
import { buildLinear } from '../../layers/linear-steps.js';
import { BaseMLP } from '../../layers/mlp.js';
import { Module } from '../../layers/module.js';
import { BaseLayerNorm, BaseRMSNorm } from '../../layers/norms.js';
import { addResidual } from '../../layers/residual.js';
import {
  axialRotary,
  lengths,
  MERGED_PATCHES,
  mergedPatches,
  POSITION_SHARES,
  patches,
  type StepInput,
  sampledPositions,
} from '../../step-inputs/index.js';
import { Linear } from '../../weights/linear.js';
import type { Weights } from '../../weights/weights.js';
import type { Encoder } from '../base/flash-with-encoder-atb.js';
import { PatchEmbedding } from '../base/vision/index.js';

/** Of torch's LayerNorm, where nobody says. */
const MERGER_EPSILON = 1e-5;

/** What the encoder is told by the configuration. */
export interface Glm4vVision {
  readonly depth: number;
  readonly numHeads: number;
  readonly hiddenSize: number;
  /** Of tokens, and between the projections of its layers' MLPs. */
  readonly outSize: number;
  /** Between the projections of the merger's MLP. */
  readonly intermediateSize: number;
  readonly hiddenAct: ActivationKind;
  readonly epsilon: number;
  readonly qkvBias: boolean;
  /** Pixels along a side of the square that it has positions for. */
  readonly imageSize: number;
  readonly inChannels: number;
  readonly patchSize: number;
  readonly temporalPatchSize: number;
  /** Patches along a side of a block, which becomes one token. */
  readonly mergeSize: number;
  /** Of the rotary positions' frequencies. */
  readonly theta: number;
}

/**
 * Blocks of patches as tokens: norm, a convolution over each block, Linear, LayerNorm, gelu, a gated MLP: [patches, hidden] ->
 * [tokens, out].
 */
class Glm4vMerger extends BaseLayer {
  readonly norm: BaseRMSNorm;
  readonly downsample: Linear;
  readonly proj: Linear;
  readonly projNorm: BaseLayerNorm;
  readonly mlp: BaseMLP;

  constructor(weights: Weights, vision: Glm4vVision) {
    super(vision.depth, weights, 'merger');
    const { hiddenSize, outSize, mergeSize, epsilon, intermediateSize, hiddenAct } = vision;
    const merger = weights.at('merger');
    this.norm = new BaseRMSNorm(weights.at('post_layernorm'), hiddenSize, epsilon);
    this.downsample = Linear.load(weights, {
      parts: [{ name: 'downsample', outFeatures: outSize, kernel: [hiddenSize, mergeSize, mergeSize] }],
      inFeatures: hiddenSize * mergeSize * mergeSize,
      hasBias: true,
    });
    this.proj = Linear.load(merger, { parts: [{ name: 'proj', outFeatures: outSize }], inFeatures: outSize });
    this.projNorm = new BaseLayerNorm(merger.at('post_projection_norm'), outSize, MERGER_EPSILON);
    this.mlp = new BaseMLP({ hiddenSize: outSize, intermediateSize, hiddenAct, mlpBias: false }, merger);
  }

  protected buildLayerGraph(graph: AtbGraph, kind: GraphKind, hidden: string): string {
    const normed = this.norm.buildGraph(graph, hidden);
    gatherRows(graph, normed, MERGED_PATCHES, 'merged_hidden');
    // The checkpoint's kernel is [channels, rows, columns].
    const transpose = new BaseOperation('Transpose', { perm: [0, 2, 1] }, 'merged_transpose');
    graph.addOperation(transpose, ['merged_hidden'], ['merged_transposed']);
    graph.addReshape('merged_transposed', 'merged_rows', [dim(0), dim(1, 2)]);
    const rows = buildLinear(graph, this.downsample, 'merged_rows', 'downsample_out');
    const projected = this.projNorm.buildGraph(graph, buildLinear(graph, this.proj, rows, 'merger_proj_out'));
    CommonOpBuilderManager.getBuilder({
      category: 'ACTIVATION',
      opName: 'merger_activation',
      kind: 'gelu',
      isGated: false,
      isPack: false,
    }).build(graph, { input: projected, actOut: 'merger_act_out' });
    return this.mlp.buildGraph(graph, kind, 'merger_act_out');
  }
}

/** GLM-4.1V's encoder: learned positions drawn out to any size beside rotary ones (arXiv:2507.01006, section 2.1). */
export class Glm4vVisionTower extends Module implements Encoder {
  readonly stepInputs: readonly StepInput[];
  readonly patchEmbedding: PatchEmbedding;
  readonly patchNorm: BaseRMSNorm;
  readonly positions: Linear;
  readonly blocks: readonly PreNormLayer[];
  readonly merger: Glm4vMerger;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor(vision: Glm4vVision, weights: Weights) {
    super();
    const { hiddenSize, numHeads, mergeSize, theta, epsilon, patchSize, hiddenAct, outSize } = vision;
    const headDim = hiddenSize / numHeads;
    const side = Math.floor(vision.imageSize / patchSize);
    const kernel = [vision.inChannels, vision.temporalPatchSize, patchSize, patchSize];
    this.stepInputs = [
      patches(kernel.reduce((product, size) => product * size, 1)),
      axialRotary({ theta, headDim, mergeSize }),
      lengths,
      mergedPatches(mergeSize * mergeSize),
      sampledPositions(side, mergeSize),
    ];
    const norm = (at: Weights) => new BaseRMSNorm(at, hiddenSize, epsilon);
    this.patchEmbedding = new PatchEmbedding(weights.at('patch_embed'), hiddenSize, kernel, true);
    this.patchNorm = norm(weights.at('post_conv_layernorm'));
    this.positions = Linear.load(weights, {
      parts: [{ name: 'embeddings.position_embedding', outFeatures: hiddenSize, transposed: true }],
      inFeatures: side * side,
    });
    const attention = encoderAttention({
      hiddenSize,
      numHeads,
      qkvBias: vision.qkvBias,
      denseBias: false,
    });
    const mlp = { hiddenSize, intermediateSize: outSize, hiddenAct, mlpBias: false };
    this.blocks = Array.from({ length: vision.depth }, (_, layerId) => {
      const at = weights.at('blocks').at(layerId);
      return new PreNormLayer(layerId, at, {
        inputLayernorm: norm(at.at('norm1')),
        selfAttn: new RotaryAttention(layerId, attention, at.at('attn'), {
          qkv: { packed: 'qkv', order: 'blocks' },
          dense: 'proj',
        }),
        postAttentionLayernorm: norm(at.at('norm2')),
        mlp: new BaseMLP(mlp, at.at('mlp')),
      });
    });
    this.merger = new Glm4vMerger(weights, vision);
  }

  buildGraph(graph: AtbGraph, kind: GraphKind): string {
    const embedded = this.patchNorm.buildGraph(graph, this.patchEmbedding.buildGraph(graph));
    const places = buildLinear(graph, this.positions, POSITION_SHARES, 'position_embedding_out');
    let hidden = addResidual(graph, embedded, places, 'positioned_patches');
    for (const block of this.blocks) hidden = block.buildGraph(graph, kind, hidden);
    return this.merger.buildGraph(graph, kind, hidden);
  }
}
