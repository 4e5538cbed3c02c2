import { CommonOpBuilderManager } from '../../common-op-builders/index.js';
import { type AtbGraph, dim } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { RotaryAttention } from '../../layers/attention/attention-orders.js';
import { encoderAttention } from '../../layers/attention-config.js';
import { BaseLayer } from '../../layers/decoder/base-layer.js';
import { PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import { ScaledStep } from '../../layers/decoder/scaled-step.js';
import { gatherRows } from '../../layers/formulas/gather-rows.js';
import { addResidual } from '../../layers/formulas/residual.js';
import { buildLinear } from '../../layers/linear/linear-steps.js';
import { UngatedMLP } from '../../layers/mlp/mlp.js';
import { Module } from '../../layers/module.js';
import { BaseLayerNorm } from '../../layers/norms/norms.js';
import {
  BUCKETED_POSITIONS,
  gridPositions,
  lengths,
  mergedSquares,
  PATCHES,
  patches,
  SQUARE,
  type StepInput,
  squarePictures,
  squareRotary,
} from '../../step-inputs/index.js';
import { Linear } from '../../weights/linear.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import type { Encoder } from '../base/flash-with-encoder-atb.js';
import { buildBlockMean, patchLinear, SquareFront } from '../base/vision/index.js';
import type { PerceptionLMConfig, PerceptionVision } from './config.js';

/** Of all norms of Perception Encoders. */
const EPSILON = 1e-5;

const normOf = (at: Weights, size: number) => new BaseLayerNorm(at, size, EPSILON, { hasBias: true });

/** Patches with learned positions, normed, where no row comes before them. */
class PatchFront extends BaseLayer {
  readonly proj: Linear;
  readonly norm: BaseLayerNorm;
  private readonly positions: TensorRef;

  constructor({ hiddenSize, patchSize, imageSize }: PerceptionVision, weights: Weights) {
    super(-1, weights, 'front');
    const count = Math.floor(imageSize / patchSize) ** 2;
    this.proj = patchLinear(weights.at('patch_embed'), 'proj', hiddenSize, patchSize);
    this.positions = weights.get('pos_embed', [1, count, hiddenSize]);
    this.norm = normOf(weights.at('norm_pre'), hiddenSize);
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.positions];
  }

  protected buildLayerGraph(graph: AtbGraph, _kind: GraphKind, input: string): string {
    const embedded = buildLinear(graph, this.proj, input, 'patch_embedding_out');
    graph.addReshape(this.positions.name, 'position_table', [dim(0, 1), dim(2)]);
    const placed = gatherRows(graph, 'position_table', BUCKETED_POSITIONS, 'position_rows');
    return this.norm.buildGraph(graph, addResidual(graph, embedded, placed, 'positioned_rows'));
  }
}

/** Two products, and between them the mean of each block of patches: [patches, hidden] -> [tokens, out]. */
class PoolingProjector extends BaseLayer {
  readonly up: Linear;
  readonly down: Linear;
  private readonly area: number;

  constructor({ vision, mergeSize, hiddenSize }: PerceptionLMConfig, weights: Weights) {
    super(vision.sizes.numLayers, weights, 'projector');
    const linear = (name: string, inFeatures: number) =>
      Linear.load(weights, { parts: [{ name, outFeatures: hiddenSize }], inFeatures, hasBias: true });
    this.up = linear('linear_1', vision.sizes.hiddenSize);
    this.down = linear('linear_2', hiddenSize);
    this.area = mergeSize ** 2;
  }

  protected buildLayerGraph(graph: AtbGraph, _kind: GraphKind, hidden: string): string {
    const up = buildLinear(graph, this.up, hidden, 'projector_up_out');
    const act = { kind: 'gelu', isGated: false, isPack: false } as const;
    CommonOpBuilderManager.getBuilder({
      category: 'ACTIVATION',
      opName: 'projector_activation',
      ...act,
    }).build(graph, { input: up, actOut: 'projector_act_out' });
    // The class takes the mean of what the second product gives, which is the same but for rounding.
    return buildLinear(
      graph,
      this.down,
      buildBlockMean(graph, 'projector_act_out', this.area),
      'projector_out',
    );
  }
}

/** A Perception Encoder over squares, which turns by two axes beside learned positions (arXiv:2504.13181). */
export class PerceptionTower extends Module implements Encoder {
  readonly stepInputs: readonly StepInput[];
  readonly front: BaseLayer;
  readonly layers: readonly PreNormLayer[];
  readonly projector: PoolingProjector;
  private readonly hasFirst: boolean;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor(config: PerceptionLMConfig, weights: Weights) {
    super();
    const vision = config.vision.sizes;
    const { hiddenSize, intermediateSize, numHeads, numLayers, patchSize, imageSize, hasFirst } = vision;
    const side = Math.floor(imageSize / patchSize);
    const [count, theta, headDim] = [side * side, 10_000, hiddenSize / numHeads];
    this.hasFirst = hasFirst;
    this.stepInputs = [
      ...[patches(3 * patchSize * patchSize), lengths],
      hasFirst ? squarePictures(count, false) : gridPositions(side),
      squareRotary({ theta, headDim, side, hasFirst }),
      mergedSquares(side, config.mergeSize, 0),
    ];
    const tower = weights.at('vision_tower.timm_model');
    this.front = hasFirst
      ? new SquareFront(tower, {
          proj: patchLinear(tower.at('patch_embed'), 'proj', hiddenSize, patchSize),
          classRow: tower.get('cls_token', [1, 1, hiddenSize]),
          positions: tower.get('pos_embed', [1, count + 1, hiddenSize]),
          norm: normOf(tower.at('norm_pre'), hiddenSize),
        })
      : new PatchFront(vision, tower);
    const rope = { theta, headDim, rotaryDim: headDim, interleaved: true, maxPositionEmbeddings: side };
    const attention = {
      ...encoderAttention({ hiddenSize, numHeads, qkvBias: true, denseBias: true }),
      rope: { ...rope, scaling: { type: 'default' } },
    } as const;
    const mlp = { hiddenSize, intermediateSize, hiddenAct: 'gelu', mlpBias: true } as const;
    const qkv = { packed: 'qkv', order: 'blocks' } as const;
    this.layers = Array.from({ length: numLayers }, (_, layerId) => {
      const at = tower.at('blocks').at(layerId);
      const selfAttn = new RotaryAttention(layerId, attention, at.at('attn'), { qkv, dense: 'proj' });
      const ungated = new UngatedMLP(mlp, at.at('mlp'), { names: { up: 'fc1', down: 'fc2' } });
      return new PreNormLayer(layerId, at, {
        inputLayernorm: normOf(at.at('norm1'), hiddenSize),
        selfAttn: new ScaledStep(selfAttn, at.get('gamma_1', [hiddenSize])),
        postAttentionLayernorm: normOf(at.at('norm2'), hiddenSize),
        mlp: new ScaledStep(ungated, at.get('gamma_2', [hiddenSize])),
      });
    });
    this.projector = new PoolingProjector(config, weights.at('multi_modal_projector'));
  }

  buildGraph(graph: AtbGraph, kind: GraphKind): string {
    let hidden = this.front.buildGraph(graph, kind, PATCHES);
    for (const layer of this.layers) hidden = layer.buildGraph(graph, kind, hidden);
    const rows = this.hasFirst ? gatherRows(graph, hidden, SQUARE.kept, 'kept_hidden') : hidden;
    return this.projector.buildGraph(graph, kind, rows);
  }
}
