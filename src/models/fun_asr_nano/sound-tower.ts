import { type AtbGraph, BaseOperation } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { PositionFreeAttention } from '../../layers/attention/attention-orders.js';
import { type AttentionConfig, encoderAttention } from '../../layers/attention-config.js';
import { BaseLayer } from '../../layers/decoder/base-layer.js';
import type { LayerStep } from '../../layers/decoder/decoder-layers.js';
import { gatherRows, sumOfRows } from '../../layers/formulas/gather-rows.js';
import { addResidual, addScaled } from '../../layers/formulas/residual.js';
import { UngatedMLP } from '../../layers/mlp/mlp.js';
import { Module } from '../../layers/module.js';
import { BaseLayerNorm, NoNorm, type NormStep } from '../../layers/norms/norms.js';
import {
  ENCODER_SINUSOIDS,
  encoderSinusoids,
  lengths,
  patches,
  SOUND_FRAMES,
  SOUND_PLACES,
  type StepInput,
  soundPlaces,
  soundTaps,
  TAP_ROWS,
} from '../../step-inputs/index.js';
import { constantWeight, flattened, rowsOf, transposed } from '../../weights/weight-changes.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import type { Encoder } from '../base/flash-with-encoder-atb.js';
import { RowProjector } from '../base/vision/index.js';
import type { FunAsrNanoConfig, FunLayerSizes } from './config.js';

/** How a layer differs from those of the adaptor. */
interface FunLayerOptions {
  /** What the layer reads, where that is wider or narrower than what it gives; then that is not added to it. */
  readonly inSize?: number;
  /** Rows that the memory of its attention sees; it has none when absent. */
  readonly taps?: number;
  /** Whether a norm follows it; false when absent. */
  readonly isNormed?: boolean;
}

/**
 * Attention beside which each channel of the values is convolved over rows about its own, and added with the values
 * themselves (SAN-M, arXiv:2006.01713, section 2.1).
 */
class MemoryAttention extends PositionFreeAttention {
  private readonly taps: readonly TensorRef[];
  private readonly zeros: TensorRef;

  /** Throws what `BaseAttention` throws. */
  constructor(layerId: number, config: AttentionConfig, weights: Weights, inFeatures: number, taps: number) {
    super(layerId, config, weights, { inFeatures });
    const { hiddenSize } = config;
    const conv = weights.at('fsmn.conv');
    const table = transposed(flattened(conv.get('weight', [hiddenSize, 1, taps])));
    this.taps = Array.from({ length: taps }, (_, tap) => rowsOf(table, tap, 1, conv.path(`weight.${tap}`)));
    this.zeros = constantWeight(conv.path('row_beside'), [1, hiddenSize], 0);
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), ...this.taps, this.zeros];
  }

  override buildGraph(graph: AtbGraph, kind: GraphKind, input: string): string {
    const { q, k, v } = this.buildQkvGraph(graph, input);
    const attended = this.buildAttentionGraph(graph, kind, { q, k, v });
    const dense = this.buildDenseGraph(graph, kind, attended);
    const concat = new BaseOperation('Concat', { concatDim: 0 }, 'memory_padded');
    graph.addOperation(concat, [v, this.zeros.name], ['memory_padded']);
    const shares = this.taps.map(({ name }, tap) => ({ rows: TAP_ROWS(tap), weights: name }));
    const sum = sumOfRows(graph, 'memory_padded', shares, 'memory_sum');
    const memory = addResidual(graph, sum, v, 'memory_out');
    return addResidual(graph, dense, memory, 'attn_and_memory');
  }
}

/** Attention and an MLP, each with a norm before it. */
class FunLayer extends BaseLayer {
  readonly before: NormStep;
  readonly attention: LayerStep;
  readonly between: NormStep;
  readonly mlp: UngatedMLP;
  readonly behind: NormStep;
  private readonly addsInput: boolean;

  constructor(
    layerId: number,
    weights: Weights,
    { hiddenSize, numHeads, intermediateSize, hiddenAct, layerNormEps }: FunLayerSizes,
    { inSize = hiddenSize, taps, isNormed = false }: FunLayerOptions = {},
  ) {
    const addsInput = inSize === hiddenSize;
    super(
      layerId,
      weights,
      `${taps === undefined ? 'adaptor' : 'memory'}${addsInput ? '' : '_first'}${isNormed ? '_normed' : ''}`,
    );
    this.addsInput = addsInput;
    const norm = (name: string, size: number): BaseLayerNorm =>
      new BaseLayerNorm(weights.at(name), size, layerNormEps, { hasBias: true });
    const attention = encoderAttention({ hiddenSize, numHeads, qkvBias: true, denseBias: true });
    const at = weights.at('self_attn');
    this.before = norm('input_layernorm', inSize);
    this.attention =
      taps === undefined
        ? new PositionFreeAttention(layerId, attention, at)
        : new MemoryAttention(layerId, attention, at, inSize, taps);
    this.between = norm('post_attention_layernorm', hiddenSize);
    const names = { up: 'fc1', down: 'fc2' };
    const mlp = { hiddenSize, intermediateSize, hiddenAct, mlpBias: true };
    this.mlp = new UngatedMLP(mlp, weights.at('mlp'), { names });
    this.behind = isNormed ? norm('final_layernorm', hiddenSize) : new NoNorm();
  }

  protected buildLayerGraph(graph: AtbGraph, kind: GraphKind, hidden: string): string {
    const attended = this.attention.buildGraph(graph, kind, this.before.buildGraph(graph, hidden));
    const residual = this.addsInput ? addResidual(graph, hidden, attended, 'attn_residual') : attended;
    const mixed = this.mlp.buildGraph(graph, kind, this.between.buildGraph(graph, residual));
    return this.behind.buildGraph(graph, addResidual(graph, residual, mixed, 'layer_out'));
  }
}

/** Stacked frames, which attention with memory looks at, then come to the size of words and see each other again. */
export class FunSoundTower extends Module implements Encoder {
  readonly stepInputs: readonly StepInput[];
  readonly layers: readonly FunLayer[];
  readonly projector: RowProjector;
  readonly adaptor: readonly FunLayer[];
  private readonly scale: number;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor({ audio, adaptor, outSize }: FunAsrNanoConfig, tower: Weights, projector: Weights) {
    super();
    const { bins, stacked, positions, taps, hiddenSize, numLayers, timingLayers } = audio;
    const inSize = bins * stacked;
    this.scale = Math.sqrt(hiddenSize);
    this.layers = Array.from({ length: numLayers }, (_, layerId) => {
      const isNormed = layerId === numLayers - 1 || layerId === numLayers - timingLayers - 1;
      const options = { taps, isNormed, ...(layerId === 0 && { inSize }) };
      return new FunLayer(layerId, tower.at('layers').at(layerId), audio, options);
    });
    const { projectorSize: innerSize, projectorAct: act } = adaptor;
    this.projector = new RowProjector(projector, {
      inSize: hiddenSize,
      innerSize,
      outSize,
      hasBias: true,
      act,
    });
    this.adaptor = Array.from(
      { length: adaptor.numLayers },
      (_, index) => new FunLayer(numLayers + index, projector.at('layers').at(index), adaptor),
    );
    this.stepInputs = [
      patches(inSize, undefined, SOUND_FRAMES),
      encoderSinusoids(positions, inSize),
      soundPlaces(1),
      soundTaps(taps, Math.floor((taps - 1) / 2)),
      lengths,
    ];
  }

  buildGraph(graph: AtbGraph, kind: GraphKind): string {
    const scaled = addScaled(graph, SOUND_FRAMES, this.scale, 'scaled_frames');
    const places = gatherRows(graph, ENCODER_SINUSOIDS, SOUND_PLACES, 'position_embedding');
    let hidden = addResidual(graph, scaled, places, 'positioned_frames');
    for (const layer of this.layers) hidden = layer.buildGraph(graph, kind, hidden);
    hidden = this.projector.buildGraph(graph, kind, hidden);
    for (const layer of this.adaptor) hidden = layer.buildGraph(graph, kind, hidden);
    return hidden;
  }
}
