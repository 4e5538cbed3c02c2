import type { ActivationKind } from '../../../common-op-builders/index.js';
import { type AtbGraph, BaseOperation, dim } from '../../../graph/atb-graph.js';
import type { GraphKind } from '../../../graph/graph-kind.js';
import { PositionFreeAttention, type RotaryAttention } from '../../../layers/attention/attention-orders.js';
import { encoderAttention } from '../../../layers/attention-config.js';
import { BaseLayer } from '../../../layers/decoder/base-layer.js';
import { PreNormLayer } from '../../../layers/decoder/decoder-layers.js';
import { gatherRows } from '../../../layers/formulas/gather-rows.js';
import { addResidual } from '../../../layers/formulas/residual.js';
import { buildLinear } from '../../../layers/linear/linear-steps.js';
import { UngatedMLP } from '../../../layers/mlp/mlp.js';
import { Module } from '../../../layers/module.js';
import { BaseLayerNorm, type NormStep } from '../../../layers/norms/norms.js';
import {
  lengths,
  PATCHES,
  patches,
  type RopeConfig,
  SQUARE,
  type StepInput,
  squarePictures,
} from '../../../step-inputs/index.js';
import { Linear } from '../../../weights/linear.js';
import type { TensorRef, Weights } from '../../../weights/weights.js';
import type { Encoder } from '../flash-with-encoder-atb.js';
import { buildEachLayer, takenOf } from './feature-layer.js';

/** What the layers of an encoder like CLIP's are told by the configuration. */
export interface ClipLayerSizes {
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly numHeads: number;
  /** How many of its layers are computed. */
  readonly numLayers: number;
  readonly layerNormEps: number;
  readonly hiddenAct: ActivationKind;
  /** Whether queries, keys and values have biases; true when absent. */
  readonly qkvBias?: boolean;
  /** How rows of heads lie that turn, where that is not by halves of all of a head. */
  readonly rope?: RopeConfig;
}

/** The same of CLIP's encoder of pictures. */
export interface ClipSizes extends ClipLayerSizes {
  readonly patchSize: number;
  /** Patches of a picture. */
  readonly count: number;
  /** See `takenOf`. */
  readonly taken: readonly number[];
}

/** What checkpoints call the parts of such a layer. */
export interface ClipLayerNames {
  readonly attentionNorm: string;
  /** Of attention's last projection. */
  readonly dense: string;
  readonly mlpNorm: string;
  readonly up: string;
  readonly down: string;
  /** Of queries, keys and values, where one tensor holds all of them, one below the other. */
  readonly packed?: string;
}

export const CLIP_NAMES: ClipLayerNames = {
  attentionNorm: 'layer_norm1',
  dense: 'out_proj',
  mlpNorm: 'layer_norm2',
  up: 'fc1',
  down: 'fc2',
};

/** Layers from number `first` on, whose rows are others than those before: so many of each picture as `seqLen` says. */
export interface LaterLayers {
  readonly first: number;
  readonly seqLen: string;
  /** The number of the first of them in the graph, where another encoder stands before; `first` when absent. */
  readonly numberedFrom?: number;
}

/**
 * The layers of CLIP, and of SigLIP, under their names in checkpoints, or others: attention that sees all, and an MLP without
 * a gate. `Attention`: whether it is turned by positions. `later`: those alone.
 */
export function clipLayers(
  weights: Weights,
  {
    hiddenSize,
    intermediateSize,
    numHeads,
    numLayers,
    layerNormEps,
    hiddenAct,
    qkvBias = true,
    rope,
  }: ClipLayerSizes,
  Attention: typeof PositionFreeAttention | typeof RotaryAttention = PositionFreeAttention,
  { attentionNorm, dense, mlpNorm, up, down, packed }: ClipLayerNames = CLIP_NAMES,
  later?: LaterLayers,
): readonly PreNormLayer[] {
  const attention = {
    ...encoderAttention({ hiddenSize, numHeads, qkvBias, denseBias: true }),
    ...(rope && { rope }),
  };
  const norm = (at: Weights) => new BaseLayerNorm(at, hiddenSize, layerNormEps, { hasBias: true });
  const { first = 0, numberedFrom = first, ...seen } = later ?? {};
  const qkv = packed === undefined ? {} : ({ qkv: { packed, order: 'blocks' } } as const);
  return Array.from({ length: numLayers - first }, (_, place) => {
    const layerId = numberedFrom + place;
    const at = weights.at(first + place);
    const parts = {
      inputLayernorm: norm(at.at(attentionNorm)),
      selfAttn: new Attention(layerId, attention, at.at('self_attn'), { dense, ...qkv, ...seen }),
      postAttentionLayernorm: norm(at.at(mlpNorm)),
      mlp: new UngatedMLP({ hiddenSize, intermediateSize, hiddenAct, mlpBias: true }, at.at('mlp'), {
        names: { up, down },
      }),
    };
    return new PreNormLayer(layerId, at, parts, later && 'later');
  });
}

/** Where a checkpoint has the encoder of pictures, or another one: until transformers 4.x within a model of its own. */
export const visionTower = (weights: Weights, name = 'vision_tower'): Weights => {
  const older = weights.has(`${name}.vision_model.embeddings.position_embedding.weight`);
  return weights.at(older ? `${name}.vision_model` : name);
};

/** Square patches as vectors: a convolution whose stride is its kernel. */
export const patchLinear = (
  weights: Weights,
  name: string,
  outFeatures: number,
  patchSize: number,
  hasBias = false,
): Linear =>
  Linear.load(weights, {
    parts: [{ name, outFeatures, kernel: [3, patchSize, patchSize] }],
    inFeatures: 3 * patchSize * patchSize,
    hasBias,
  });

/** What the front of an encoder of square pictures is made of. */
export interface SquareParts {
  /** Of patches. */
  readonly proj: Linear;
  /** The row before those of each picture: [hidden], behind axes of one. */
  readonly classRow: TensorRef;
  /** [1 + patches, hidden], perhaps behind an axis of one. */
  readonly positions: TensorRef;
  readonly norm: NormStep;
}

/** Patches, before those of each picture a learned row that stands for it, all with learned positions, perhaps normed. */
export class SquareFront extends BaseLayer {
  readonly proj: Linear;
  readonly classRow: TensorRef;
  readonly positions: TensorRef;
  readonly norm: NormStep;

  /** `weights`: where the checkpoint has all of them. */
  constructor(weights: Weights, { proj, classRow, positions, norm }: SquareParts) {
    // Its result comes before that of layer 0.
    super(-1, weights, 'front');
    this.proj = proj;
    this.classRow = classRow;
    this.positions = positions;
    this.norm = norm;
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.classRow, this.positions];
  }

  protected buildLayerGraph(graph: AtbGraph, _kind: GraphKind, input: string): string {
    const patches = buildLinear(graph, this.proj, input, 'patch_embedding_out');
    const table = ({ name, shape }: TensorRef, out: string): string => {
      const axes = shape.map((_, axis) => axis);
      const rows = axes.length > 1 ? dim(...axes.slice(0, -1)) : 1;
      graph.addReshape(name, out, [rows, dim(axes.length - 1)]);
      return out;
    };
    const classRow = table(this.classRow, 'class_row');
    const positions = table(this.positions, 'position_table');
    const concat = new BaseOperation('Concat', { concatDim: 0 }, 'all_rows');
    graph.addOperation(concat, [patches, classRow], ['all_rows']);
    const ordered = gatherRows(graph, 'all_rows', SQUARE.rows, 'ordered_rows');
    const placed = gatherRows(graph, positions, SQUARE.positions, 'position_rows');
    return this.norm.buildGraph(graph, addResidual(graph, ordered, placed, 'positioned_rows'));
  }
}

/**
 * CLIP's encoder of square pictures (arXiv:2103.00020, section 2.4): the rows that become tokens, [kept rows,
 * hidden].
 */
export class ClipEncoder extends Module implements Encoder {
  readonly stepInputs: readonly StepInput[];
  readonly front: SquareFront;
  readonly layers: readonly PreNormLayer[];
  private readonly taken: readonly number[];

  /**
   * `keepsFirst`: whether the row that stands for a picture becomes a token, too; of each as its count says when
   * absent.
   */
  constructor(sizes: ClipSizes, tower: Weights, keepsFirst?: boolean) {
    super();
    const { hiddenSize, patchSize, count, layerNormEps, taken } = sizes;
    this.stepInputs = [patches(3 * patchSize * patchSize), lengths, squarePictures(count, keepsFirst)];
    const embeddings = tower.at('embeddings');
    this.front = new SquareFront(tower, {
      proj: patchLinear(embeddings, 'patch_embedding', hiddenSize, patchSize),
      classRow: embeddings.get('class_embedding', [hiddenSize]),
      positions: embeddings.get('position_embedding.weight', [count + 1, hiddenSize]),
      norm: new BaseLayerNorm(tower.at('pre_layrnorm'), hiddenSize, layerNormEps, { hasBias: true }),
    });
    this.layers = clipLayers(tower.at('encoder.layers'), sizes);
    this.taken = taken;
  }

  buildGraph(graph: AtbGraph, kind: GraphKind): string {
    const rows = this.front.buildGraph(graph, kind, PATCHES);
    const hidden = takenOf(graph, buildEachLayer(graph, kind, this.layers, rows), this.taken);
    return gatherRows(graph, hidden, SQUARE.kept, 'kept_hidden');
  }
}
