import { type ActivationKind, CommonOpBuilderManager } from '../../common-op-builders/index.js';
import { type AtbGraph, BaseOperation } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { PositionFreeAttention } from '../../layers/attention/attention-orders.js';
import { RelativeScoreBias, SCORE_BIAS } from '../../layers/attention/relative-score-bias.js';
import { encoderAttention } from '../../layers/attention-config.js';
import { BaseLayer } from '../../layers/decoder/base-layer.js';
import type { LayerStep } from '../../layers/decoder/decoder-layers.js';
import { gatherRows, sumOfRows } from '../../layers/formulas/gather-rows.js';
import { addPair, addResidual, addScaled } from '../../layers/formulas/residual.js';
import { buildLinear } from '../../layers/linear/linear-steps.js';
import { Module } from '../../layers/module.js';
import { BaseLayerNorm, NoNorm } from '../../layers/norms/norms.js';
import {
  HALVED_SOUND,
  halvedSound,
  lengths,
  relativeBuckets,
  SOUND_FRAMES,
  type StepInput,
  soundTaps,
  TAP_ROWS,
} from '../../step-inputs/index.js';
import { Linear } from '../../weights/linear.js';
import { asVector, constantWeight, flattened, rowsOf, transposed } from '../../weights/weight-changes.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import { addActivation, ConformerLayer, PlainProduct } from '../base/audio/index.js';
import type { Encoder } from '../base/flash-with-encoder-atb.js';
import { RowProjector } from '../base/vision/index.js';
import type { Phi4Config, PhiAudio } from './config.js';
import { HalvedSoundFront } from './sound-front.js';

/** Of all norms of the encoder: the class leaves it to torch. */
const EPSILON = 1e-5;

const normOf = (weights: Weights, size: number, name?: string): BaseLayerNorm =>
  new BaseLayerNorm(weights, size, EPSILON, { hasBias: true, ...(name !== undefined && { name }) });

/** x + down(up(norm(x)) * act(gate(norm(x)))) / 2: half of an MLP whose gates lie below what they gate. */
class GatedHalfStep extends Module implements LayerStep {
  readonly norm: BaseLayerNorm;
  readonly gateUp: Linear;
  readonly down: Linear;
  private readonly hiddenAct: ActivationKind;

  /** `name` tells the two of a layer apart in graphs. */
  constructor(
    private readonly name: string,
    weights: Weights,
    { hiddenSize, intermediateSize: inner, hiddenAct }: PhiAudio,
  ) {
    super();
    this.norm = normOf(weights.at('layer_norm'), hiddenSize, `${name}_norm`);
    const half = (from: number) => ({
      name: 'gate_up_proj',
      outFeatures: inner,
      rows: { of: 2 * inner, from },
    });
    this.gateUp = Linear.load(weights, {
      name: 'gate_before_up',
      parts: [half(inner), half(0)],
      inFeatures: hiddenSize,
      hasBias: true,
    });
    const parts = [{ name: 'down_proj', outFeatures: hiddenSize }] as const;
    this.down = Linear.load(weights, { parts, inFeatures: inner, hasBias: true });
    this.hiddenAct = hiddenAct;
  }

  buildGraph(graph: AtbGraph, _kind: GraphKind, input: string): string {
    const { name, hiddenAct: kind } = this;
    const gateUp = buildLinear(graph, this.gateUp, this.norm.buildGraph(graph, input), `${name}_gate_up_out`);
    const gated = {
      category: 'ACTIVATION',
      opName: `${name}_act`,
      kind,
      isGated: true,
      isPack: true,
    } as const;
    CommonOpBuilderManager.getBuilder(gated).build(graph, { input: gateUp, actOut: `${name}_act_out` });
    const result = buildLinear(graph, this.down, `${name}_act_out`, `${name}_down_out`);
    return addResidual(graph, input, addScaled(graph, result, 0.5, `${name}_share`), `${name}_residual`);
  }
}

/** Each channel's convolution over a row and those before it, with a bias: [rows, channels] -> the same shape. */
class BiasedTaps extends Module {
  private readonly taps: readonly TensorRef[];
  private readonly bias: TensorRef;
  private readonly zeros: TensorRef;

  constructor(weights: Weights, channels: number, taps: number) {
    super();
    const table = transposed(flattened(weights.get('weight', [channels, 1, taps])));
    this.taps = Array.from({ length: taps }, (_, tap) =>
      rowsOf(table, tap, 1, weights.path(`weight.${tap}`)),
    );
    this.bias = weights.get('bias', [channels]);
    this.zeros = constantWeight(weights.path('row_before'), [1, channels], 0);
  }

  override getWeights(): TensorRef[] {
    return [...this.taps, this.bias, this.zeros];
  }

  buildGraph(graph: AtbGraph, rows: string): string {
    const concat = new BaseOperation('Concat', { concatDim: 0 }, 'conv_padded');
    graph.addOperation(concat, [rows, this.zeros.name], ['conv_padded']);
    const shares = this.taps.map(({ name }, tap) => ({ rows: TAP_ROWS(tap), weights: name }));
    const sum = sumOfRows(graph, 'conv_padded', shares, 'conv_sum');
    return addResidual(graph, sum, this.bias.name, 'conv_each');
  }
}

/** x + end(act(point(conv(value * act(gate))))), value and gate being products of norm(x), each with a bias of its own, too. */
class GatedConv extends Module implements LayerStep {
  readonly norm: BaseLayerNorm;
  readonly start: PlainProduct;
  readonly conv: BiasedTaps;
  readonly point: PlainProduct;
  readonly end: PlainProduct;
  private readonly valueBias: TensorRef;
  private readonly gateBias: TensorRef;

  constructor(
    weights: Weights,
    private readonly audio: PhiAudio,
  ) {
    super();
    const { hiddenSize: size, taps } = audio;
    const product = (name: string, at: Weights, key: string, outFeatures: number) =>
      new PlainProduct(name, at, key, { inFeatures: size, outFeatures }, { hasBias: true, isConv: true });
    const [gates, convs] = [weights.at('glu'), weights.at('dw_sep_conv_1d')];
    this.norm = normOf(weights.at('layer_norm'), size, 'conv_norm');
    this.start = product('conv_start', gates, 'ext_pw_conv_1d', 2 * size);
    this.valueBias = asVector(gates.get('b1', [1, size, 1]));
    this.gateBias = asVector(gates.get('b2', [1, size, 1]));
    this.conv = new BiasedTaps(convs.at('dw_conv'), size, taps);
    this.point = product('conv_point', convs, 'pw_conv', size);
    this.end = product('conv_end', weights, 'ext_pw_conv_1d', size);
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.valueBias, this.gateBias];
  }

  buildGraph(graph: AtbGraph, _kind: GraphKind, input: string): string {
    const { gateAct, convAct } = this.audio;
    const started = this.start.buildGraph(graph, this.norm.buildGraph(graph, input));
    const split = new BaseOperation('Split', { splitDim: 1, splitNum: 2 }, 'conv_split');
    graph.addOperation(split, [started], ['conv_value', 'conv_gate']);
    const value = addResidual(graph, 'conv_value', this.valueBias.name, 'conv_value_biased');
    const gate = addResidual(graph, 'conv_gate', this.gateBias.name, 'conv_gate_biased');
    const opened = addActivation(graph, gateAct, gate, 'conv_gate_act');
    const gated = addPair(graph, 'ELEWISE_MUL', value, opened, 'conv_gated');
    const mixed = this.point.buildGraph(graph, this.conv.buildGraph(graph, gated));
    const acted = addActivation(graph, convAct, mixed, 'conv_act');
    return addResidual(graph, input, this.end.buildGraph(graph, acted), 'conv_residual');
  }
}

function conformerLayer(layerId: number, weights: Weights, audio: PhiAudio): ConformerLayer {
  const { hiddenSize, numHeads } = audio;
  const attention = encoderAttention({ hiddenSize, numHeads, qkvBias: true, denseBias: true });
  const options = { scoreBias: SCORE_BIAS };
  return new ConformerLayer(layerId, weights, {
    first: new GatedHalfStep('first', weights.at('feed_forward_in'), audio),
    beforeAttention: normOf(weights.at('layer_norm_att'), hiddenSize),
    attention: new PositionFreeAttention(layerId, attention, weights.at('self_attn'), options),
    afterAttention: new NoNorm(),
    conv: new GatedConv(weights.at('conv'), audio),
    second: new GatedHalfStep('second', weights.at('feed_forward_out'), audio),
    norm: normOf(weights.at('layer_norm'), hiddenSize, 'last_norm'),
  });
}

/** Rows in the size of words, by products for prompts with sound alone, and by others for those with pictures, too. */
class SoundProjector extends BaseLayer {
  readonly alone: RowProjector;
  readonly beside: RowProjector;

  constructor(layerId: number, weights: Weights, { audio, hiddenSize: outSize }: Phi4Config) {
    super(layerId, weights, 'projector');
    const projector = (of: string, prefix: string): RowProjector => {
      const names = { up: `up_proj_for_${of}`, down: `down_proj_for_${of}` };
      const sizes = { inSize: audio.hiddenSize, outSize, hasBias: true, act: 'gelu' } as const;
      return new RowProjector(weights, { ...sizes, names, prefix });
    };
    this.alone = projector('speech', 'alone_');
    this.beside = projector('vision_speech', 'beside_');
  }

  protected buildLayerGraph(graph: AtbGraph, kind: GraphKind, hidden: string): string {
    const [alone, beside] = [this.alone, this.beside].map((of) => of.buildGraph(graph, kind, hidden));
    const concat = new BaseOperation('Concat', { concatDim: 0 }, 'both_projections');
    graph.addOperation(concat, [alone ?? '', beside ?? ''], ['both_projections']);
    return gatherRows(graph, 'both_projections', HALVED_SOUND.heard, 'heard_embeddings');
  }
}

/** The row of a table of numbers for a key so far behind its query. */
const bucketOf =
  ({ farthest, isSymmetric }: PhiAudio) =>
  (distance: number): number => {
    const near = Math.min(Math.max(distance, -farthest), farthest - 1);
    return isSymmetric ? Math.min(Math.abs(near), farthest - 1) : near + farthest;
  };

/** Conformers whose rows see those before them in convolutions, and all of a stretch in attention (arXiv:2503.01743, section 2.3). */
export class PhiSoundTower extends Module implements Encoder {
  readonly stepInputs: readonly StepInput[];
  readonly front: HalvedSoundFront;
  readonly scoreBias: RelativeScoreBias;
  readonly layers: readonly ConformerLayer[];
  readonly projector: SoundProjector;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor(config: Phi4Config, weights: Weights) {
    super();
    const { audio } = config;
    const { bins, halvings, taps, numLayers, numHeads, farthest, isSymmetric } = audio;
    const encoder = weights.at('encoder');
    this.front = new HalvedSoundFront(encoder, audio);
    const table = encoder.at('relative_attention_bias_layer.bias_values');
    this.scoreBias = new RelativeScoreBias(table, isSymmetric ? farthest : 2 * farthest, numHeads);
    this.layers = Array.from({ length: numLayers }, (_, layerId) =>
      conformerLayer(layerId, encoder.at('encoders').at(layerId), audio),
    );
    this.projector = new SoundProjector(numLayers, weights, config);
    this.stepInputs = [
      halvedSound({ bins, halvings }),
      relativeBuckets(bucketOf(audio)),
      soundTaps(taps, taps - 1),
      lengths,
    ];
  }

  buildGraph(graph: AtbGraph, kind: GraphKind): string {
    let hidden = this.front.buildGraph(graph, kind, SOUND_FRAMES);
    this.scoreBias.buildGraph(graph);
    for (const layer of this.layers) hidden = layer.buildGraph(graph, kind, hidden);
    return this.projector.buildGraph(graph, kind, hidden);
  }
}
