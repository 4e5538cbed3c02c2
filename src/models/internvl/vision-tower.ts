import type { ActivationKind } from '../../common-op-builders/index.js';
import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { NormedAttention, projectionNorms } from '../../layers/attention/attention-orders.js';
import { encoderAttention } from '../../layers/attention-config.js';
import { PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import { ScaledStep } from '../../layers/decoder/scaled-step.js';
import { UngatedMLP } from '../../layers/mlp/mlp.js';
import { Module } from '../../layers/module.js';
import { BaseLayerNorm, type BaseNorm, BaseRMSNorm, NoNorm } from '../../layers/norms/norms.js';
import {
  lengths,
  mergedSquares,
  PATCHES,
  patches,
  type StepInput,
  squarePictures,
} from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import type { Encoder } from '../base/flash-with-encoder-atb.js';
import { PatchMerger, patchLinear, SquareFront } from '../base/vision/index.js';
import type { InternvlNorm } from './config.js';
import type { InternvlNames } from './names.js';

/** Of the norms of queries and keys, and of the one before the projector. */
const QK_EPSILON = 1e-6;
const PROJECTOR_EPSILON = 1e-5;

/** What an InternViT is told by the configuration. */
export interface InternvlVision {
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly numHeads: number;
  /** How many layers are computed. */
  readonly numLayers: number;
  /** Pixels along a side of a tile, and of a patch. */
  readonly imageSize: number;
  readonly patchSize: number;
  readonly hiddenAct: ActivationKind;
  readonly epsilon: number;
  readonly qkvBias: boolean;
  /** Whether queries and keys are normed, all heads of a token together. */
  readonly normsQk: boolean;
  readonly norm: InternvlNorm;
}

/** What follows it. */
export interface InternvlProjector {
  /** Patches along a side of a block. */
  readonly mergeSize: number;
  readonly outSize: number;
}

/** InternViT over square tiles, of whose patches blocks become tokens (arXiv:2404.16821, section 3). */
export class InternvlTower extends Module implements Encoder {
  readonly stepInputs: readonly StepInput[];
  readonly front: SquareFront;
  readonly layers: readonly PreNormLayer[];
  readonly merger: PatchMerger;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor(
    vision: InternvlVision,
    weights: Weights,
    names: InternvlNames,
    { mergeSize, outSize }: InternvlProjector,
  ) {
    super();
    const { hiddenSize, numHeads, numLayers, imageSize, patchSize, epsilon, qkvBias, normsQk } = vision;
    const side = imageSize / patchSize;
    this.stepInputs = [
      patches(3 * patchSize * patchSize),
      lengths,
      squarePictures(side * side, false),
      mergedSquares(side, mergeSize),
    ];
    const tower = weights.at(names.tower);
    const embeddings = tower.at('embeddings');
    this.front = new SquareFront(tower, {
      proj: patchLinear(embeddings, names.patches, hiddenSize, patchSize, true),
      classRow: embeddings.get(names.classRow, [1, 1, hiddenSize]),
      positions: embeddings.get(names.positions, [1, side * side + 1, hiddenSize]),
      norm: new NoNorm(),
    });
    const attention = encoderAttention({
      hiddenSize,
      numHeads,
      qkvBias,
      denseBias: true,
    });
    const mlp = { ...vision, mlpBias: true };
    const norm = (at: Weights): BaseNorm =>
      vision.norm === 'rms_norm'
        ? new BaseRMSNorm(at, hiddenSize, epsilon)
        : new BaseLayerNorm(at, hiddenSize, epsilon);
    const qkNormWithin = (at: Weights) => (which: 'q' | 'k') =>
      new BaseRMSNorm(at.at(`${which}_norm`), hiddenSize, QK_EPSILON);
    const { qkv, dense, ...of } = names.layer;
    this.layers = Array.from({ length: numLayers }, (_, layerId) => {
      const at = tower.at(names.layers).at(layerId);
      const own = at.at(of.attention);
      const qkNorms = normsQk ? projectionNorms(attention, qkNormWithin(own)) : undefined;
      const selfAttn = new NormedAttention(layerId, attention, own, qkNorms, { qkv, dense });
      const ungated = new UngatedMLP(mlp, at.at('mlp'), { names: { up: 'fc1', down: 'fc2' } });
      return new PreNormLayer(layerId, at, {
        inputLayernorm: norm(at.at(of.inputNorm)),
        selfAttn: new ScaledStep(selfAttn, at.get(of.attentionScale, [hiddenSize])),
        postAttentionLayernorm: norm(at.at(of.mlpNorm)),
        mlp: new ScaledStep(ungated, at.get(of.mlpScale, [hiddenSize])),
      });
    });
    this.merger = new PatchMerger(numLayers, weights.at(names.projector), {
      hiddenSize,
      outSize,
      innerSize: outSize,
      area: mergeSize * mergeSize,
      names: names.merger,
      normsBlocks: true,
      norm: (at, size) => new BaseLayerNorm(at, size, PROJECTOR_EPSILON, { name: 'merger_norm' }),
    });
  }

  buildGraph(graph: AtbGraph, kind: GraphKind): string {
    let hidden = this.front.buildGraph(graph, kind, PATCHES);
    for (const layer of this.layers) hidden = layer.buildGraph(graph, kind, hidden);
    return this.merger.buildGraph(graph, kind, hidden);
  }
}
