import { type AtbGraph, BaseOperation, dim } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { PositionFreeAttention } from '../../layers/attention/attention-orders.js';
import { encoderAttention } from '../../layers/attention-config.js';
import { BaseLayer } from '../../layers/decoder/base-layer.js';
import { type LayerStep, PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import { ScaledStep } from '../../layers/decoder/scaled-step.js';
import { gatherRows, sumOfRows } from '../../layers/formulas/gather-rows.js';
import { addResidual } from '../../layers/formulas/residual.js';
import { buildLinear } from '../../layers/linear/linear-steps.js';
import { UngatedMLP } from '../../layers/mlp/mlp.js';
import { Module } from '../../layers/module.js';
import { BaseLayerNorm, BaseRMSNorm } from '../../layers/norms/norms.js';
import {
  CORNERS,
  interpolatedPositions,
  LED,
  ledRows,
  MERGED_PATCHES,
  mergedPatches,
  PATCHES,
  patches,
  type StepInput,
} from '../../step-inputs/index.js';
import { Linear } from '../../weights/linear.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import type { Encoder } from '../base/flash-with-encoder-atb.js';
import { RowProjector } from '../base/vision/index.js';
import type { NemotronHOmniConfig } from './config.js';

/** Patches along a side of a block. */
const MERGE = 2;
/** Of the projector's norm: the class has it so. */
const EPSILON = 1e-5;

/** Patches with learned positions, before those of each picture learned rows: [patches, features] -> [rows, hidden]. */
class RadioFront extends BaseLayer {
  readonly proj: Linear;
  private readonly positions: TensorRef;
  private readonly learned: TensorRef;

  constructor(at: Weights, { vision }: NemotronHOmniConfig, frames: number) {
    // Its result comes before that of layer 0.
    super(-1, at, 'front');
    const { hiddenSize, patchSize, largest, classRows, registers } = vision;
    const name = frames === 1 ? 'embedder' : 'video_embedder';
    const parts = [{ name, outFeatures: hiddenSize }] as const;
    this.proj = Linear.load(at, { parts, inFeatures: frames * 3 * patchSize ** 2 });
    const side = Math.floor(largest / patchSize);
    this.positions = at.get('pos_embed', [1, side * side, hiddenSize]);
    this.learned = at.get('cls_token.token', [classRows + registers, hiddenSize]);
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.positions, this.learned];
  }

  protected buildLayerGraph(graph: AtbGraph, _kind: GraphKind, input: string): string {
    const embedded = buildLinear(graph, this.proj, input, 'patch_embedding_out');
    graph.addReshape(this.positions.name, 'position_table', [dim(0, 1), dim(2)]);
    const positions = sumOfRows(graph, 'position_table', CORNERS, 'positions');
    const placed = addResidual(graph, embedded, positions, 'positioned_patches');
    const concat = new BaseOperation('Concat', { concatDim: 0 }, 'patches_and_learned');
    graph.addOperation(concat, [placed, this.learned.name], ['patches_and_learned']);
    return gatherRows(graph, 'patches_and_learned', LED.rows, 'led_hidden');
  }
}

/** Blocks of patches become tokens: rows of a block side by side behind a norm, and two products. */
class BlockProjector extends BaseLayer {
  /** Of patches, in checkpoints whose text has layers that guess further tokens. */
  readonly first: BaseLayerNorm | undefined;
  readonly norm: BaseRMSNorm;
  readonly rows: RowProjector;

  constructor(
    layerId: number,
    weights: Weights,
    { vision, projectorSize, hiddenSize, predictionLayers }: NemotronHOmniConfig,
  ) {
    super(layerId, weights.at('mlp1'), 'projector');
    const inSize = vision.hiddenSize * MERGE ** 2;
    const patchNorm = weights.at('vision_projector.vision_final_layernorm');
    this.first = predictionLayers
      ? new BaseLayerNorm(patchNorm, vision.hiddenSize, vision.epsilon)
      : undefined;
    const within = weights.at('mlp1');
    this.norm = new BaseRMSNorm(within.at(0), inSize, EPSILON, undefined, 'block_norm');
    const sizes = { inSize, outSize: hiddenSize, innerSize: projectorSize, hasBias: false } as const;
    this.rows = new RowProjector(within, { ...sizes, act: 'relu2', names: { up: '1', down: '3' } });
  }

  protected buildLayerGraph(graph: AtbGraph, kind: GraphKind, hidden: string): string {
    const kept = gatherRows(graph, hidden, LED.kept, 'kept_hidden');
    const normed = this.first?.buildGraph(graph, kept) ?? kept;
    gatherRows(graph, normed, MERGED_PATCHES, 'merged_hidden');
    graph.addReshape('merged_hidden', 'merged_rows', [dim(0), dim(1, 2)]);
    return this.rows.buildGraph(graph, kind, this.norm.buildGraph(graph, 'merged_rows'));
  }
}

/**
 * RADIO over pictures in their own shapes (arXiv:2312.06709), or over frames of which several make a patch; the table of
 * positions covers the square about each: [patches / 4, out].
 */
export class RadioTower extends Module implements Encoder {
  readonly stepInputs: readonly StepInput[];
  readonly front: RadioFront;
  readonly layers: readonly PreNormLayer[];
  readonly projector: BlockProjector;

  /** `frames`: of a patch. Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor(config: NemotronHOmniConfig, weights: Weights, frames: number) {
    super();
    const { hiddenSize, numHeads, numLayers, patchSize, largest, epsilon, qkvBias, classRows, registers } =
      config.vision;
    this.stepInputs = [
      patches(frames * 3 * patchSize ** 2),
      interpolatedPositions(Math.floor(largest / patchSize), MERGE, 'edges', true),
      ledRows(classRows + registers),
      mergedPatches(MERGE ** 2),
    ];
    const model = weights.at('vision_model.radio_model.model');
    this.front = new RadioFront(model.at('patch_generator'), config, frames);
    const attention = encoderAttention({ hiddenSize, numHeads, qkvBias, denseBias: true });
    const mlp = { ...config.vision, mlpBias: true };
    // Files of transformers have factors, those of its authors have none.
    const scaled = (at: Weights, name: string, step: LayerStep): LayerStep => {
      const factors = at.getOptional(`${name}.lambda1`, [hiddenSize]);
      return factors ? new ScaledStep(step, factors) : step;
    };
    this.layers = Array.from({ length: numLayers }, (_, layerId) => {
      const at = model.at('blocks').at(layerId);
      const names = { qkv: { packed: 'qkv', order: 'blocks' }, dense: 'proj', seqLen: LED.lens } as const;
      const selfAttn = new PositionFreeAttention(layerId, attention, at.at('attn'), names);
      const ungated = new UngatedMLP(mlp, at.at('mlp'), { names: { up: 'fc1', down: 'fc2' } });
      return new PreNormLayer(layerId, at, {
        inputLayernorm: new BaseLayerNorm(at.at('norm1'), hiddenSize, epsilon),
        selfAttn: scaled(at, 'layer_scale1', selfAttn),
        postAttentionLayernorm: new BaseLayerNorm(at.at('norm2'), hiddenSize, epsilon),
        mlp: scaled(at, 'layer_scale2', ungated),
      });
    });
    this.projector = new BlockProjector(numLayers, weights, config);
  }

  buildGraph(graph: AtbGraph, kind: GraphKind): string {
    let hidden = this.front.buildGraph(graph, kind, PATCHES);
    for (const layer of this.layers) hidden = layer.buildGraph(graph, kind, hidden);
    return this.projector.buildGraph(graph, kind, hidden);
  }
}
