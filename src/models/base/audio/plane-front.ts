import { type AtbGraph, BaseOperation, dim } from '../../../graph/atb-graph.js';
import type { GraphKind } from '../../../graph/graph-kind.js';
import { BaseLayer } from '../../../layers/decoder/base-layer.js';
import { gatherRows } from '../../../layers/formulas/gather-rows.js';
import { addResidual } from '../../../layers/formulas/residual.js';
import { buildLinear } from '../../../layers/linear/linear-steps.js';
import { ENCODER_SINUSOIDS, MEL_PLANES, planesOf } from '../../../step-inputs/index.js';
import { Linear } from '../../../weights/linear.js';
import { constantWeight } from '../../../weights/weight-changes.js';
import type { TensorRef, Weights } from '../../../weights/weights.js';
import { buildGelu } from './whisper.js';

/** What convolutions over bins and frames are told. */
export interface PlaneSizes {
  readonly melBins: number;
  readonly channels: number;
  readonly hiddenSize: number;
  /** Frames of a stretch, which is seen by itself. */
  readonly stretchFrames: number;
}

/** Bins and frames that a convolution sees at once. */
const KERNEL = [3, 3];

/**
 * Three convolutions over stretches of the spectrogram, each over every other place of the one before; what comes of
 * one time becomes a row, and gets the vector of its place: `mel_patches` [results, 9] -> [rows, hidden].
 */
export class PlaneFront extends BaseLayer {
  readonly convs: readonly Linear[];
  readonly out: Linear;
  readonly zeros: TensorRef;

  constructor(weights: Weights, { melBins, channels, hiddenSize, stretchFrames }: PlaneSizes) {
    // Its result comes before that of layer 0.
    super(-1, weights, 'front');
    const [, , , third] = planesOf({ high: melBins, wide: stretchFrames });
    this.convs = [1, channels, channels].map((inChannels, index) =>
      Linear.load(weights, {
        parts: [{ name: `conv2d${index + 1}`, outFeatures: channels, kernel: [inChannels, ...KERNEL] }],
        inFeatures: inChannels * 9,
        hasBias: true,
      }),
    );
    this.out = Linear.load(weights, {
      parts: [{ name: 'conv_out', outFeatures: hiddenSize }],
      inFeatures: channels * third.high,
    });
    this.zeros = constantWeight(weights.path('beyond_edges'), [1, channels], 0);
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.zeros];
  }

  protected buildLayerGraph(graph: AtbGraph, _kind: GraphKind, patches: string): string {
    const [first, second, third] = this.convs as [Linear, Linear, Linear];
    let planes = buildGelu(graph, first, patches, 'conv1_out');
    for (const [conv, places, name] of [
      [second, MEL_PLANES.second, 'conv2'],
      [third, MEL_PLANES.third, 'conv3'],
    ] as const) {
      const concat = new BaseOperation('Concat', { concatDim: 0 }, `${name}_padded`);
      graph.addOperation(concat, [planes, this.zeros.name], [`${name}_padded`]);
      const seen = sideBySide(graph, `${name}_padded`, places, `${name}_seen`);
      planes = buildGelu(graph, conv, seen, `${name}_out`);
    }
    const rows = sideBySide(graph, planes, MEL_PLANES.columns, 'times');
    const hidden = buildLinear(graph, this.out, rows, 'conv_out');
    const places = gatherRows(graph, ENCODER_SINUSOIDS, MEL_PLANES.positions, 'position_embedding');
    return addResidual(graph, hidden, places, 'positioned_hidden_states');
  }
}

/**
 * Rows of a table, channel by channel as the checkpoint's kernels lie: [n, channels], [rows, k] -> [rows, channels *
 * k].
 */
export function sideBySide(graph: AtbGraph, table: string, places: string, name: string): string {
  const found = gatherRows(graph, table, places, name);
  const turned = `${name}_transposed`;
  graph.addOperation(new BaseOperation('Transpose', { perm: [0, 2, 1] }, turned), [found], [turned]);
  graph.addReshape(turned, `${name}_rows`, [dim(0), dim(1, 2)]);
  return `${name}_rows`;
}
