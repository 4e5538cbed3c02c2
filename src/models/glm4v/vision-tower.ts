import { type ActivationKind, CommonOpBuilderManager } from '../../common-op-builders/index.js';
import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { RotaryAttention } from '../../layers/attention/attention-orders.js';
import type { AttentionOptions } from '../../layers/attention/base-attention.js';
import { encoderAttention } from '../../layers/attention-config.js';
import { BaseLayer } from '../../layers/decoder/base-layer.js';
import { type LayerStep, PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import { addResidual } from '../../layers/formulas/residual.js';
import { buildLinear } from '../../layers/linear/linear-steps.js';
import { BaseMLP } from '../../layers/mlp/mlp.js';
import { Module } from '../../layers/module.js';
import { BaseLayerNorm, BaseRMSNorm } from '../../layers/norms/norms.js';
import {
  axialRotary,
  lengths,
  mergedPatches,
  POSITION_SHARES,
  patches,
  type StepInput,
  sampledPositions,
} from '../../step-inputs/index.js';
import { Linear } from '../../weights/linear.js';
import type { Weights } from '../../weights/weights.js';
import type { Encoder } from '../base/flash-with-encoder-atb.js';
import { buildBlockRows, PatchEmbedding } from '../base/vision/index.js';

/** Of torch's LayerNorm, where nobody says. */
const MERGER_EPSILON = 1e-5;

/** What encoders of GLM's kind are told by the configuration. */
export interface GlmVision {
  readonly depth: number;
  readonly numHeads: number;
  readonly hiddenSize: number;
  /** Of tokens. */
  readonly outSize: number;
  readonly hiddenAct: ActivationKind;
  readonly epsilon: number;
  readonly inChannels: number;
  readonly patchSize: number;
  readonly temporalPatchSize: number;
  /** Patches along a side of a block, which becomes one token. */
  readonly mergeSize: number;
  /** Of the rotary positions' frequencies. */
  readonly theta: number;
}

/** The same of GLM-4.1V's. */
export interface Glm4vVision extends GlmVision {
  /** Between the projections of the merger's MLP; those of its layers' MLPs have `outSize` between them. */
  readonly intermediateSize: number;
  readonly qkvBias: boolean;
  /** Pixels along a side of the square that it has positions for. */
  readonly imageSize: number;
}

/** In what encoders of GLM's kind differ. */
export interface GlmTowerParts {
  /** `weights` is the layer's own window. */
  attention(layerId: number, weights: Weights): LayerStep;
  mlp(weights: Weights): LayerStep;
  /** Between the projections of the merger's MLP. */
  readonly mergerSize: number;
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

  constructor(weights: Weights, vision: GlmVision, intermediateSize: number) {
    super(vision.depth, weights, 'merger');
    const { hiddenSize, outSize, mergeSize, epsilon, hiddenAct } = vision;
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
    const rows = buildLinear(graph, this.downsample, buildBlockRows(graph, normed), 'downsample_out');
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

/** GLM's encoder of pictures of any size: rotary positions, a convolution over each block. */
export class GlmVisionTower extends Module implements Encoder {
  readonly stepInputs: readonly StepInput[];
  readonly patchEmbedding: PatchEmbedding;
  readonly blocks: readonly PreNormLayer[];
  readonly merger: Glm4vMerger;

  /** `more`: step inputs of its front. Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor(
    vision: GlmVision,
    weights: Weights,
    { attention, mlp, mergerSize }: GlmTowerParts,
    more: readonly StepInput[] = [],
  ) {
    super();
    const { hiddenSize, numHeads, mergeSize, theta, epsilon, patchSize } = vision;
    const kernel = [vision.inChannels, vision.temporalPatchSize, patchSize, patchSize];
    this.stepInputs = [
      patches(kernel.reduce((product, size) => product * size, 1)),
      axialRotary({ theta, headDim: hiddenSize / numHeads, mergeSize }),
      lengths,
      mergedPatches(mergeSize * mergeSize),
      ...more,
    ];
    this.patchEmbedding = new PatchEmbedding(weights.at('patch_embed'), hiddenSize, kernel, true);
    const norm = (at: Weights) => new BaseRMSNorm(at, hiddenSize, epsilon);
    this.blocks = Array.from({ length: vision.depth }, (_, layerId) => {
      const at = weights.at('blocks').at(layerId);
      return new PreNormLayer(layerId, at, {
        inputLayernorm: norm(at.at('norm1')),
        selfAttn: attention(layerId, at.at('attn')),
        postAttentionLayernorm: norm(at.at('norm2')),
        mlp: mlp(at.at('mlp')),
      });
    });
    this.merger = new Glm4vMerger(weights, vision, mergerSize);
  }

  buildGraph(graph: AtbGraph, kind: GraphKind): string {
    let hidden = this.buildFrontGraph(graph, this.patchEmbedding.buildGraph(graph));
    for (const block of this.blocks) hidden = block.buildGraph(graph, kind, hidden);
    return this.merger.buildGraph(graph, kind, hidden);
  }

  /** What becomes of embedded patches, [patches, hidden], before the first layer. */
  protected buildFrontGraph(_graph: AtbGraph, embedded: string): string {
    return embedded;
  }
}

/** The checkpoint's names of its attention's projections. */
export const GLM_ATTENTION: AttentionOptions = { qkv: { packed: 'qkv', order: 'blocks' }, dense: 'proj' };

/** GLM-4.1V's encoder: learned positions drawn out to any size beside rotary ones (arXiv:2507.01006, section 2.1). */
export class Glm4vVisionTower extends GlmVisionTower {
  readonly patchNorm: BaseRMSNorm;
  readonly positions: Linear;

  /** Throws what `GlmVisionTower` throws. */
  constructor(vision: Glm4vVision, weights: Weights) {
    const { hiddenSize, outSize, hiddenAct, patchSize, mergeSize, numHeads, qkvBias } = vision;
    const side = Math.floor(vision.imageSize / patchSize);
    const attention = encoderAttention({ hiddenSize, numHeads, qkvBias, denseBias: false });
    const mlp = { hiddenSize, intermediateSize: outSize, hiddenAct, mlpBias: false };
    super(
      vision,
      weights,
      {
        attention: (layerId, at) => new RotaryAttention(layerId, attention, at, GLM_ATTENTION),
        mlp: (at) => new BaseMLP(mlp, at),
        mergerSize: vision.intermediateSize,
      },
      [sampledPositions(side, mergeSize)],
    );
    this.patchNorm = new BaseRMSNorm(weights.at('post_conv_layernorm'), hiddenSize, vision.epsilon);
    this.positions = Linear.load(weights, {
      parts: [{ name: 'embeddings.position_embedding', outFeatures: hiddenSize, transposed: true }],
      inFeatures: side * side,
    });
  }

  protected override buildFrontGraph(graph: AtbGraph, embedded: string): string {
    const places = buildLinear(graph, this.positions, POSITION_SHARES, 'position_embedding_out');
    return addResidual(graph, this.patchNorm.buildGraph(graph, embedded), places, 'positioned_patches');
  }
}
