import { type ActivationKind, CommonOpBuilderManager } from '../../../common-op-builders/index.js';
import { type AtbGraph, BaseOperation, dim } from '../../../graph/atb-graph.js';
import type { GraphKind } from '../../../graph/graph-kind.js';
import { PositionFreeAttention } from '../../../layers/attention-orders.js';
import { encoderAttention } from '../../../layers/base-attention.js';
import { BaseLayer } from '../../../layers/base-layer.js';
import { PreNormLayer } from '../../../layers/decoder-layers.js';
import { gatherRows } from '../../../layers/gather-rows.js';
import { UngatedMLP } from '../../../layers/mlp.js';
import { Module } from '../../../layers/module.js';
import { BaseLayerNorm, type BaseNorm } from '../../../layers/norms.js';
import { addResidual, addScaled } from '../../../layers/residual.js';
import { lengths, SOUND, type StepInput, sound } from '../../../step-inputs/index.js';
import { Linear } from '../../../weights/linear.js';
import { constantWeight } from '../../../weights/weight-changes.js';
import type { TensorRef, Weights } from '../../../weights/weights.js';
import type { Encoder } from '../flash-with-encoder-atb.js';

const EPSILON = 1e-5;

/** What an encoder of sound is told by the configuration. */
export interface AudioSizes {
  readonly hiddenSize: number;
  readonly numLayers: number;
  readonly numHeads: number;
  readonly intermediateSize: number;
  readonly melBins: number;
  /** Rows that it has positions for. */
  readonly maxPositions: number;
  readonly hiddenAct: ActivationKind;
}

/** Frames that each convolution sees at once. */
const KERNEL = 3;

/** gelu(linear(input)). Returns `out`. */
function buildGelu(graph: AtbGraph, linear: Linear, input: string, out: string): string {
  const linearOut = `${out}_linear`;
  CommonOpBuilderManager.getBuilder({ category: 'LINEAR', opName: linearOut, linear }).build(graph, {
    input,
    linearOut,
  });
  CommonOpBuilderManager.getBuilder({
    category: 'ACTIVATION',
    opName: out,
    kind: 'gelu',
    isGated: false,
    isPack: false,
  }).build(graph, { input: linearOut, actOut: out });
  return out;
}

/**
 * Two convolutions of three frames, the second over every other result of the first, and learned positions:
 * `mel_frames` [2 * rows, 3 * bins] -> [rows, hidden]. As products of matrices: what a place sees lies side by side.
 */
class AudioFront extends BaseLayer {
  readonly conv1: Linear;
  readonly conv2: Linear;
  readonly positions: TensorRef;
  readonly zeros: TensorRef;

  constructor(weights: Weights, { hiddenSize, melBins, maxPositions }: AudioSizes) {
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
    this.positions = weights.get('embed_positions.weight', [maxPositions, hiddenSize]);
    this.zeros = constantWeight(weights.path('frame_before'), [1, hiddenSize], 0);
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.positions, this.zeros];
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
    const places = gatherRows(graph, this.positions.name, SOUND.positions, 'position_embedding');
    return addResidual(graph, second, places, 'positioned_hidden_states');
  }
}

/** Means of pairs of rows, normed, in the size of words: [rows, hidden] -> [tokens, out]. */
class AudioBack extends Module {
  readonly norm: BaseNorm;
  readonly linear: Linear;

  constructor(norm: BaseNorm, weights: Weights, inFeatures: number, outFeatures: number) {
    super();
    this.norm = norm;
    this.linear = Linear.load(weights, {
      parts: [{ name: 'linear', outFeatures }],
      inFeatures,
      hasBias: true,
    });
  }

  buildGraph(graph: AtbGraph, hidden: string): string {
    const even = gatherRows(graph, hidden, SOUND.evenRows, 'even_hidden');
    const odd = gatherRows(graph, hidden, SOUND.oddRows, 'odd_hidden');
    const mean = addScaled(graph, addResidual(graph, even, odd, 'pair_sums'), 0.5, 'pair_means');
    const input = this.norm.buildGraph(graph, mean);
    const linearOut = 'audio_embeddings';
    CommonOpBuilderManager.getBuilder({ category: 'LINEAR', opName: 'projector', linear: this.linear }).build(
      graph,
      { input, linearOut },
    );
    return linearOut;
  }
}

/**
 * Whisper's encoder, of which only the rows within a sound are computed: nobody looks at the others
 * (arXiv:2407.10759, section 2; transformers 5.24, Qwen2AudioEncoder).
 */
export class AudioTower extends Module implements Encoder {
  readonly stepInputs: readonly StepInput[];
  readonly front: AudioFront;
  readonly layers: readonly PreNormLayer[];
  readonly back: AudioBack;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor(config: AudioSizes, weights: Weights, outSize: number) {
    super();
    const { hiddenSize, numHeads, numLayers, intermediateSize, hiddenAct, melBins } = config;
    const tower = weights.at('audio_tower');
    const norm = (at: Weights) => new BaseLayerNorm(at, hiddenSize, EPSILON, { hasBias: true });
    const attention = encoderAttention({
      hiddenSize,
      numHeads,
      qkvBias: true,
      keyBias: false,
      denseBias: true,
    });
    this.stepInputs = [sound(KERNEL * melBins), lengths];
    this.front = new AudioFront(tower, config);
    this.layers = Array.from({ length: numLayers }, (_, layerId) => {
      const at = tower.at('layers').at(layerId);
      return new PreNormLayer(layerId, at, {
        inputLayernorm: norm(at.at('self_attn_layer_norm')),
        selfAttn: new PositionFreeAttention(layerId, attention, at.at('self_attn'), { dense: 'out_proj' }),
        postAttentionLayernorm: norm(at.at('final_layer_norm')),
        mlp: new UngatedMLP({ hiddenSize, intermediateSize, hiddenAct, mlpBias: true }, at, {
          names: { up: 'fc1', down: 'fc2' },
        }),
      });
    });
    this.back = new AudioBack(
      norm(tower.at('layer_norm')),
      weights.at('multi_modal_projector'),
      hiddenSize,
      outSize,
    );
  }

  buildGraph(graph: AtbGraph, kind: GraphKind): string {
    let hidden = this.front.buildGraph(graph, kind, SOUND.frames);
    for (const layer of this.layers) hidden = layer.buildGraph(graph, kind, hidden);
    return this.back.buildGraph(graph, hidden);
  }
}
