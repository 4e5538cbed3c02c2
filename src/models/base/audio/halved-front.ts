import { CommonOpBuilderManager } from '../../../common-op-builders/index.js';
import { type AtbGraph, BaseOperation, dim } from '../../../graph/atb-graph.js';
import type { GraphKind } from '../../../graph/graph-kind.js';
import { BaseLayer } from '../../../layers/decoder/base-layer.js';
import { gatherRows } from '../../../layers/formulas/gather-rows.js';
import { buildLinear } from '../../../layers/linear/linear-steps.js';
import type { NormStep } from '../../../layers/norms/norms.js';
import { MEL_PLANES } from '../../../step-inputs/index.js';
import { Linear } from '../../../weights/linear.js';
import { constantWeight } from '../../../weights/weight-changes.js';
import type { TensorRef, Weights } from '../../../weights/weights.js';
import { sideBySide } from './plane-front.js';

/** What two convolutions over bins and frames are told. */
export interface HalvedSizes {
  /** Of each convolution. */
  readonly channels: readonly [number, number];
  /** Bins that are left behind both. */
  readonly secondBins: number;
  readonly hiddenSize: number;
}

/** Where the checkpoint has what belongs to each convolution, and the norm behind it. */
export interface HalvedPart {
  readonly weights: Weights;
  readonly norm: NormStep;
}

/** Frames and bins that a convolution sees at once. */
const KERNEL = [3, 3];

/**
 * Two convolutions over a whole spectrogram, each over every other place of the one before, with a norm of channels and relu
 * behind it; what comes of one time becomes a row: `mel_patches` [results, 9] -> [rows, hidden].
 */
export class HalvedFront extends BaseLayer {
  readonly convs: readonly Linear[];
  readonly norms: readonly NormStep[];
  readonly out: Linear;
  private readonly zeros: TensorRef;

  constructor(
    weights: Weights,
    { channels, secondBins, hiddenSize }: HalvedSizes,
    parts: readonly [HalvedPart, HalvedPart],
  ) {
    // Its result comes before that of layer 0.
    super(-1, weights, 'front');
    const [first, second] = channels;
    this.convs = [1, first].map((inChannels, index) =>
      Linear.load((parts[index] as HalvedPart).weights, {
        name: `conv_${index}`,
        parts: [{ name: 'conv', outFeatures: channels[index] as number, kernel: [inChannels, ...KERNEL] }],
        inFeatures: inChannels * 9,
      }),
    );
    this.norms = parts.map(({ norm }) => norm);
    const out = [{ name: 'input_proj_linear', outFeatures: hiddenSize }] as const;
    this.out = Linear.load(weights, { parts: out, inFeatures: second * secondBins });
    this.zeros = constantWeight(weights.path('beyond_edges'), [1, first], 0);
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.zeros];
  }

  protected buildLayerGraph(graph: AtbGraph, _kind: GraphKind, patches: string): string {
    const first = this.buildConvGraph(graph, 0, patches);
    const concat = new BaseOperation('Concat', { concatDim: 0 }, 'first_padded');
    graph.addOperation(concat, [first, this.zeros.name], ['first_padded']);
    const second = this.buildConvGraph(
      graph,
      1,
      sideBySide(graph, 'first_padded', MEL_PLANES.second, 'seen'),
    );
    // Bins of a time one after the other, all channels of each.
    const times = gatherRows(graph, second, MEL_PLANES.columns, 'times');
    graph.addReshape(times, 'time_rows', [dim(0), dim(1, 2)]);
    return buildLinear(graph, this.out, 'time_rows', 'front_out');
  }

  private buildConvGraph(graph: AtbGraph, index: 0 | 1, input: string): string {
    const conv = buildLinear(graph, this.convs[index] as Linear, input, `conv_${index}_out`);
    const normed = (this.norms[index] as NormStep).buildGraph(graph, conv);
    const actOut = `act_${index}_out`;
    CommonOpBuilderManager.getBuilder({
      ...{ category: 'ACTIVATION', opName: `act_${index}`, kind: 'relu', isGated: false, isPack: false },
    }).build(graph, { input: normed, actOut });
    return actOut;
  }
}
