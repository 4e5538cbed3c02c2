import { CommonOpBuilderManager } from '../../../common-op-builders/index.js';
import { type AtbGraph, BaseOperation, dim } from '../../../graph/atb-graph.js';
import type { GraphKind } from '../../../graph/graph-kind.js';
import { PositionFreeAttention } from '../../../layers/attention/attention-orders.js';
import { encoderAttention } from '../../../layers/attention-config.js';
import { BaseLayer } from '../../../layers/decoder/base-layer.js';
import { type LayerStep, PreNormLayer } from '../../../layers/decoder/decoder-layers.js';
import { gatherRows } from '../../../layers/formulas/gather-rows.js';
import { addResidual, addScaled } from '../../../layers/formulas/residual.js';
import { buildLinear } from '../../../layers/linear/linear-steps.js';
import { UngatedMLP } from '../../../layers/mlp/mlp.js';
import { Module } from '../../../layers/module.js';
import { BaseLayerNorm, type BaseNorm } from '../../../layers/norms/norms.js';
import { PAIRED_ROWS, SOUND } from '../../../step-inputs/index.js';
import { Linear } from '../../../weights/linear.js';
import { constantWeight } from '../../../weights/weight-changes.js';
import type { TensorRef, Weights } from '../../../weights/weights.js';
import type { AudioSizes } from './config.js';

/** Of all norms: the classes leave it to torch. */
const EPSILON = 1e-5;

/** Frames that each convolution sees at once. */
const KERNEL = 3;

/** gelu(linear(input)). Returns `out`. */
export function buildGelu(graph: AtbGraph, linear: Linear, input: string, out: string): string {
  CommonOpBuilderManager.getBuilder({
    category: 'ACTIVATION',
    opName: out,
    kind: 'gelu',
    isGated: false,
    isPack: false,
  }).build(graph, { input: buildLinear(graph, linear, input, `${out}_linear_out`), actOut: out });
  return out;
}

/** A norm with weight and bias, as Whisper has them. */
export const whisperNorm = (at: Weights, hiddenSize: number): BaseNorm =>
  new BaseLayerNorm(at, hiddenSize, EPSILON, { hasBias: true });

/**
 * Two convolutions of three frames, the second over every other result of the first, and a vector for each position:
 * `mel_frames` [2 * rows, 3 * bins] -> [rows, hidden]. As products of matrices: what a place sees lies side by side.
 */
export class WhisperFront extends BaseLayer {
  readonly conv1: Linear;
  readonly conv2: Linear;
  readonly zeros: TensorRef;

  /** `positions`: the tensor [positions, hidden] of learned ones, the name of a step input that has them, or none. */
  constructor(
    weights: Weights,
    { hiddenSize, melBins }: Pick<AudioSizes, 'hiddenSize' | 'melBins'>,
    private readonly positions: TensorRef | string | undefined,
  ) {
    // Its result comes before that of layer 0.
    super(-1, weights, 'front');
    const conv = (name: string, channels: number): Linear =>
      Linear.load(weights, {
        parts: [{ name, outFeatures: hiddenSize, kernel: [channels, KERNEL] }],
        inFeatures: channels * KERNEL,
        hasBias: true,
      });
    this.conv1 = conv('conv1', melBins);
    this.conv2 = conv('conv2', hiddenSize);
    this.zeros = constantWeight(weights.path('frame_before'), [1, hiddenSize], 0);
  }

  override getWeights(): TensorRef[] {
    const { positions } = this;
    return [...super.getWeights(), ...(typeof positions === 'object' ? [positions] : []), this.zeros];
  }

  protected buildLayerGraph(graph: AtbGraph, _kind: GraphKind, frames: string): string {
    const first = buildGelu(graph, this.conv1, frames, 'conv1_out');
    const concat = new BaseOperation('Concat', { concatDim: 0 }, 'conv1_padded');
    graph.addOperation(concat, [first, this.zeros.name], ['conv1_padded']);
    const triples = gatherRows(graph, 'conv1_padded', SOUND.triples, 'conv1_triples');
    // The checkpoint's kernels are [channels, frames].
    const transpose = new BaseOperation('Transpose', { perm: [0, 2, 1] }, 'conv1_transposed');
    graph.addOperation(transpose, [triples], ['conv1_transposed']);
    graph.addReshape('conv1_transposed', 'conv1_rows', [dim(0), dim(1, 2)]);
    const second = buildGelu(graph, this.conv2, 'conv1_rows', 'conv2_out');
    if (this.positions === undefined) return second;
    const table = typeof this.positions === 'string' ? this.positions : this.positions.name;
    const places = gatherRows(graph, table, SOUND.positions, 'position_embedding');
    return addResidual(graph, second, places, 'positioned_hidden_states');
  }
}

/** How layers differ from Whisper's. */
export interface WhisperLayers {
  /** Whether keys have a bias; false when absent. */
  readonly keyBias?: boolean;
  /** The input that says how many rows see each other: `seq_len` when absent. */
  readonly seqLen?: string;
}

/** Layers of Whisper's encoder, by their numbers below `weights`. */
export function whisperLayers(
  weights: Weights,
  { hiddenSize, numHeads, numLayers, intermediateSize, hiddenAct }: AudioSizes,
  { keyBias = false, seqLen }: WhisperLayers = {},
): readonly PreNormLayer[] {
  const attention = encoderAttention({ hiddenSize, numHeads, qkvBias: true, keyBias, denseBias: true });
  const mlp = { hiddenSize, intermediateSize, hiddenAct, mlpBias: true };
  return Array.from({ length: numLayers }, (_, layerId) => {
    const at = weights.at(layerId);
    return new PreNormLayer(layerId, at, {
      inputLayernorm: whisperNorm(at.at('self_attn_layer_norm'), hiddenSize),
      selfAttn: new PositionFreeAttention(layerId, attention, at.at('self_attn'), {
        dense: 'out_proj',
        ...(seqLen !== undefined && { seqLen }),
      }),
      postAttentionLayernorm: whisperNorm(at.at('final_layer_norm'), hiddenSize),
      mlp: new UngatedMLP(mlp, at, { names: { up: 'fc1', down: 'fc2' } }),
    });
  });
}

/** Means of pairs of rows, normed, in the size of words by a product or by steps: [rows, hidden] -> [tokens, out]. */
export class PairMeans extends Module {
  constructor(
    readonly norm: BaseNorm,
    readonly projector: Linear | LayerStep,
  ) {
    super();
  }

  buildGraph(graph: AtbGraph, kind: GraphKind, hidden: string): string {
    const even = gatherRows(graph, hidden, PAIRED_ROWS.even, 'even_hidden');
    const odd = gatherRows(graph, hidden, PAIRED_ROWS.odd, 'odd_hidden');
    const mean = addScaled(graph, addResidual(graph, even, odd, 'pair_sums'), 0.5, 'pair_means');
    const [{ projector }, rows] = [this, this.norm.buildGraph(graph, mean)];
    if (projector instanceof Linear) return buildLinear(graph, projector, rows, 'projector_out');
    return projector.buildGraph(graph, kind, rows);
  }
}
