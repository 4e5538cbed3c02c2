import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { RotaryAttention } from '../../layers/attention/attention-orders.js';
import { encoderAttention } from '../../layers/attention-config.js';
import { PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import { gatherRows, sumOfRows } from '../../layers/formulas/gather-rows.js';
import { addResidual } from '../../layers/formulas/residual.js';
import { buildLinear } from '../../layers/linear/linear-steps.js';
import { UngatedMLP } from '../../layers/mlp/mlp.js';
import { Module } from '../../layers/module.js';
import { BaseLayerNorm } from '../../layers/norms/norms.js';
import {
  axialRotary,
  FRAME_ROWS,
  FRAME_SHARES,
  FRAME_TABLE,
  frameMeans,
  frameTimes,
  POSITION_SHARES,
  patches,
  type StepInput,
  sampledPositions,
  WINDOW_LENS,
  windowLens,
} from '../../step-inputs/index.js';
import { Linear } from '../../weights/linear.js';
import type { Weights } from '../../weights/weights.js';
import type { Encoder } from '../base/flash-with-encoder-atb.js';
import { PatchEmbedding, PatchMerger } from '../base/vision/index.js';
import type { KimiK25Config } from './config.js';

/** Of norms of the tower. */
const EPSILON = 1e-5;

/**
 * Kimi-K2.5's encoder (MoonViT-3D): learned positions drawn out bicubically and times of frames beside rotary positions,
 * attention within all frames that are seen together, of which means become blocks of patches.
 */
export class KimiTower extends Module implements Encoder {
  readonly stepInputs: readonly StepInput[];
  readonly patchEmbedding: PatchEmbedding;
  readonly positions: Linear;
  readonly layers: readonly PreNormLayer[];
  readonly norm: BaseLayerNorm;
  readonly merger: PatchMerger;
  private readonly frames: number;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor({ vision, hiddenSize: outSize, projectorEps }: KimiK25Config, weights: Weights) {
    super();
    const { hiddenSize, intermediateSize, numHeads, numLayers, patchSize, mergeSize, theta, frames } = vision;
    const { hiddenAct, positionSide: side } = vision;
    const [headDim, area] = [hiddenSize / numHeads, mergeSize ** 2];
    this.frames = frames;
    this.stepInputs = [
      patches(3 * patchSize * patchSize),
      axialRotary({ theta, headDim, mergeSize, takesTurns: true }),
      sampledPositions(side, mergeSize),
      frameTimes(frames, hiddenSize),
      windowLens(({ rows }) => Int32Array.of(rows)),
      frameMeans(frames, area),
    ];
    const tower = weights.at('vision_tower');
    const front = tower.at('patch_embed');
    this.patchEmbedding = new PatchEmbedding(front, hiddenSize, [3, patchSize, patchSize], true);
    this.positions = Linear.load(front, {
      parts: [{ name: 'pos_emb', outFeatures: hiddenSize, transposed: true, kernel: [side, side] }],
      inFeatures: side * side,
    });
    const norm = (at: Weights) => new BaseLayerNorm(at, hiddenSize, EPSILON);
    const rope = { theta, headDim, rotaryDim: headDim, interleaved: true, maxPositionEmbeddings: side };
    const attention = {
      ...encoderAttention({ hiddenSize, numHeads, qkvBias: true, denseBias: true }),
      rope: { ...rope, scaling: { type: 'default' } },
    } as const;
    const mlp = { hiddenSize, intermediateSize, hiddenAct, mlpBias: true };
    this.layers = Array.from({ length: numLayers }, (_, layerId) => {
      const at = tower.at('encoder.blocks').at(layerId);
      return new PreNormLayer(layerId, at, {
        inputLayernorm: norm(at.at('norm0')),
        selfAttn: new RotaryAttention(layerId, attention, at, {
          qkv: { packed: 'wqkv', order: 'blocks' },
          dense: 'wo',
          seqLen: WINDOW_LENS,
        }),
        postAttentionLayernorm: norm(at.at('norm1')),
        mlp: new UngatedMLP(mlp, at.at('mlp'), { names: { up: 'fc0', down: 'fc1' } }),
      });
    });
    this.norm = norm(tower.at('encoder.final_layernorm'));
    this.merger = new PatchMerger(numLayers, weights.at('mm_projector'), {
      ...{ hiddenSize, outSize, area, normsBlocks: false },
      names: { norm: 'pre_norm', up: 'proj.0', down: 'proj.2' },
      norm: (at, size) => new BaseLayerNorm(at, size, projectorEps),
    });
  }

  buildGraph(graph: AtbGraph, kind: GraphKind): string {
    const embedded = this.patchEmbedding.buildGraph(graph);
    const places = buildLinear(graph, this.positions, POSITION_SHARES, 'position_embedding_out');
    const times = gatherRows(graph, FRAME_TABLE, FRAME_ROWS, 'time_rows');
    const positioned = addResidual(graph, embedded, places, 'positioned_patches');
    let hidden = addResidual(graph, positioned, times, 'timed_patches');
    for (const layer of this.layers) hidden = layer.buildGraph(graph, kind, hidden);
    const means = sumOfRows(
      graph,
      this.norm.buildGraph(graph, hidden),
      FRAME_SHARES(this.frames),
      'frame_mean',
    );
    return this.merger.buildGraph(graph, kind, means);
  }
}
