import { type AtbGraph, BaseOperation, dim } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { NormedRotaryAttention } from '../../layers/attention/attention-orders.js';
import { encoderAttention } from '../../layers/attention-config.js';
import { type LayerStep, PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import { addPair } from '../../layers/formulas/residual.js';
import { addSplit } from '../../layers/formulas/split.js';
import { gatherOrZeros, zeroRow } from '../../layers/linear/convolution.js';
import { buildLinear } from '../../layers/linear/linear-steps.js';
import { Module } from '../../layers/module.js';
import { BaseLayerNorm, BaseRMSNorm } from '../../layers/norms/norms.js';
import {
  axialRotary,
  GRID_TAPS,
  gridTaps,
  lengths,
  mergedPatches,
  PATCHES,
  patches,
  type StepInput,
} from '../../step-inputs/index.js';
import { Linear } from '../../weights/linear.js';
import { flattened, transposed } from '../../weights/weight-changes.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import type { Encoder } from '../base/flash-with-encoder-atb.js';
import { EPSILON, PatchMerger } from '../base/vision/index.js';
import { lfm2MLP } from '../lfm2/index.js';
import { qwen3Norms } from '../qwen3/index.js';
import type { Lfm3VlConfig } from './config.js';

/**
 * out(C * conv(B * x)), where one projection of the input is B, C and x: of each channel a patch sees those around it in its
 * frame.
 */
class GridConv extends Module implements LayerStep {
  readonly inProj: Linear;
  readonly outProj: Linear;
  /** Of each place that is seen, [places, hidden]. */
  private readonly taps: TensorRef;
  private readonly zeros: TensorRef;
  private readonly size: number;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED, WEIGHT_QUANT_*. */
  constructor({ hiddenSize, kernel }: Lfm3VlConfig['vision'], weights: Weights) {
    super();
    const linear = (name: string, outFeatures: number): Linear =>
      Linear.load(weights, { parts: [{ name, outFeatures }], inFeatures: hiddenSize });
    this.size = hiddenSize;
    this.inProj = linear('in_proj', 3 * hiddenSize);
    this.outProj = linear('out_proj', hiddenSize);
    const conv = weights.at('spatial_conv');
    this.taps = transposed(flattened(conv.get('weight', [hiddenSize, 1, kernel, kernel])));
    this.zeros = zeroRow(conv, hiddenSize);
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.taps, this.zeros];
  }

  buildGraph(graph: AtbGraph, _kind: GraphKind, input: string): string {
    const { size } = this;
    addSplit(graph, 'in_split', buildLinear(graph, this.inProj, input, 'in_out'), [
      ['b', size],
      ['c', size],
      ['x', size],
    ]);
    const gated = addPair(graph, 'ELEWISE_MUL', 'b', 'x', 'bx');
    const seen = gatherOrZeros(graph, gated, this.zeros, GRID_TAPS, 'seen_patches');
    graph.addReshape(this.taps.name, 'tap_table', [1, dim(0), dim(1)]);
    addPair(graph, 'ELEWISE_MUL', seen, 'tap_table', 'tap_products');
    const sum = new BaseOperation('Reduce', { reduceType: 'REDUCE_SUM', axis: [1] }, 'tap_sum');
    graph.addOperation(sum, ['tap_products'], ['mixed']);
    return buildLinear(graph, this.outProj, addPair(graph, 'ELEWISE_MUL', 'c', 'mixed', 'gated'), 'conv_out');
  }
}

/**
 * Patches of pictures of any size, each frame by itself: convolutions over those around each and, in between, attention to
 * all, which rotary positions of two axes turn. Blocks of patches become tokens.
 */
export class Lfm3VlTower extends Module implements Encoder {
  readonly stepInputs: readonly StepInput[];
  readonly patchEmbedding: Linear;
  readonly norm: BaseRMSNorm;
  readonly layers: readonly PreNormLayer[];
  readonly merger: PatchMerger;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor({ vision, hiddenSize: outSize, projectorSize: innerSize }: Lfm3VlConfig, weights: Weights) {
    super();
    const { hiddenSize, numHeads, numKeyValueHeads, patchSize, mergeSize, temporalPatchSize } = vision;
    const { numLayers, theta, kernel, epsilon } = vision;
    const [inFeatures, area] = [3 * temporalPatchSize * patchSize ** 2, mergeSize ** 2];
    this.stepInputs = [
      patches(inFeatures),
      axialRotary({ theta, headDim: hiddenSize / numHeads, mergeSize }),
      lengths,
      mergedPatches(area),
      gridTaps(kernel, mergeSize),
    ];
    const tower = weights.at('vision_tower');
    const norm = (at: Weights) => new BaseRMSNorm(at, hiddenSize, epsilon);
    const parts = [{ name: 'patchifier', outFeatures: hiddenSize }] as const;
    this.patchEmbedding = Linear.load(tower, { parts, inFeatures });
    this.norm = norm(tower.at('embedding_norm'));
    const attention = {
      ...encoderAttention({ hiddenSize, numHeads, qkvBias: false, denseBias: false }),
      ...{ numKeyValueHeads, rmsNormEps: epsilon },
    };
    const mlp = { ...vision, hiddenAct: 'silu', mlpBias: false } as const;
    const attend = (layerId: number, at: Weights): LayerStep => {
      const norms = qwen3Norms(attention, at, { q: 'q_layernorm', k: 'k_layernorm' });
      return new NormedRotaryAttention(layerId, attention, at, norms, { dense: 'out_proj' });
    };
    this.layers = Array.from({ length: numLayers }, (_, layerId) => {
      const at = tower.at('layers').at(layerId);
      const attends = vision.attends[layerId];
      const layer = {
        inputLayernorm: norm(at.at('operator_norm')),
        selfAttn: attends ? attend(layerId, at.at('self_attn')) : new GridConv(vision, at.at('conv')),
        postAttentionLayernorm: norm(at.at('ffn_norm')),
        mlp: lfm2MLP(mlp, at.at('feed_forward')),
      };
      return new PreNormLayer(layerId, at, layer, attends ? '' : 'conv');
    });
    this.merger = new PatchMerger(numLayers, weights.at('multi_modal_projector'), {
      ...{ hiddenSize, outSize, innerSize, area, normsBlocks: false },
      names: { norm: 'layer_norm', up: 'linear_1', down: 'linear_2' },
      norm: (at, size) => new BaseLayerNorm(at, size, EPSILON),
    });
  }

  buildGraph(graph: AtbGraph, kind: GraphKind): string {
    const embedded = buildLinear(graph, this.patchEmbedding, PATCHES, 'patch_embedding_out');
    let hidden = this.norm.buildGraph(graph, embedded);
    for (const layer of this.layers) hidden = layer.buildGraph(graph, kind, hidden);
    return this.merger.buildGraph(graph, kind, hidden);
  }
}
