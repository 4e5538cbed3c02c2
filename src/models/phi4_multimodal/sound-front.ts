import { type AtbGraph, BaseOperation, dim } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { BaseLayer } from '../../layers/decoder/base-layer.js';
import { gatherRows, sumOfRows } from '../../layers/formulas/gather-rows.js';
import { addPair, addResidual } from '../../layers/formulas/residual.js';
import { buildLinear } from '../../layers/linear/linear-steps.js';
import { Module } from '../../layers/module.js';
import { HALVED_SOUND, halvedBins, PLANE_AREA, PLANE_TAP } from '../../step-inputs/index.js';
import { Linear } from '../../weights/linear.js';
import { constantWeight, flattened, rowsOf, transposed } from '../../weights/weight-changes.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import { addActivation, sideBySide } from '../base/audio/index.js';
import type { PhiAudio } from './config.js';

/** `rows` with a row behind them, as `out`, whose name comes back. */
function withRow(graph: AtbGraph, rows: string, row: TensorRef, out: string): string {
  graph.addOperation(new BaseOperation('Concat', { concatDim: 0 }, out), [rows, row.name], [out]);
  return out;
}

/** Each channel's convolution over every other place of a plane, then a product of all channels. */
class SeparateConv extends Module {
  readonly point: Linear;
  /** Of each place that is seen, [1, channels]. */
  private readonly taps: readonly TensorRef[];
  private readonly bias: TensorRef;

  /** `stage`: the number of the convolution, from 1 on; `place`: of its first part in the checkpoint. */
  constructor(
    private readonly stage: number,
    weights: Weights,
    place: number,
    channels: number,
  ) {
    super();
    const each = weights.at(place);
    const table = transposed(flattened(each.get('weight', [channels, 1, 3, 3])));
    this.taps = Array.from({ length: PLANE_AREA }, (_, tap) =>
      rowsOf(table, tap, 1, each.path(`weight.${tap}`)),
    );
    this.bias = each.get('bias', [channels]);
    const parts = [{ name: `${place + 1}`, outFeatures: channels, kernel: [channels, 1, 1] }] as const;
    this.point = Linear.load(weights, { parts, inFeatures: channels, hasBias: true });
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), ...this.taps, this.bias];
  }

  /** `planes` [places, channels], the last of zeros -> [results, channels]. */
  buildGraph(graph: AtbGraph, planes: string): string {
    const name = `plane_${this.stage}`;
    const shares = this.taps.map((tap, place) => ({ rows: PLANE_TAP(this.stage, place), weights: tap.name }));
    const sum = sumOfRows(graph, planes, shares, `${name}_sum`);
    const each = addResidual(graph, sum, this.bias.name, `${name}_each`);
    return buildLinear(graph, this.point, each, `${name}_out`);
  }
}

/**
 * Frames of a spectrogram, normed bin by bin; convolutions over times and bins, each over every other place of the one
 * before; what comes of one time becomes a row, as NeMo has it (arXiv:2305.05084): `sound_frames` [frames, bins] -> [rows,
 * hidden], zeros where a stretch has none.
 */
export class HalvedSoundFront extends BaseLayer {
  readonly first: Linear;
  readonly others: readonly SeparateConv[];
  readonly out: Linear;
  private readonly mean: TensorRef;
  private readonly scale: TensorRef;
  private readonly noNumber: TensorRef;
  private readonly noPlace: TensorRef;
  private readonly noRow: TensorRef;

  /** `weights`: of the encoder. */
  constructor(
    weights: Weights,
    private readonly audio: PhiAudio,
  ) {
    // Its result comes before that of layer 0.
    super(-1, weights, 'front');
    const { bins, channels, halvings, hiddenSize } = audio;
    const norm = weights.at('encoder_embedding');
    this.mean = norm.get('global_mean', [bins]);
    this.scale = norm.get('global_invstd', [bins]);
    const convs = weights.at('embed.conv');
    const first = [{ name: '0', outFeatures: channels, kernel: [1, 3, 3] }] as const;
    this.first = Linear.load(convs, { parts: first, inFeatures: PLANE_AREA, hasBias: true });
    // Each has an activation behind it, which has a number in the checkpoint, too.
    this.others = Array.from(
      { length: halvings - 1 },
      (_, index) => new SeparateConv(index + 1, convs, 2 + 3 * index, channels),
    );
    const inFeatures = channels * halvedBins(bins, halvings);
    const parts = [{ name: 'out', outFeatures: hiddenSize }] as const;
    this.out = Linear.load(weights.at('embed'), { parts, inFeatures, hasBias: true });
    this.noNumber = constantWeight(weights.path('number_beyond'), [1, 1], 0);
    this.noPlace = constantWeight(weights.path('place_beyond'), [1, channels], 0);
    this.noRow = constantWeight(weights.path('row_beyond'), [1, hiddenSize], 0);
  }

  override getWeights(): TensorRef[] {
    const { mean, scale, noNumber, noPlace, noRow } = this;
    const places = this.others.length > 0 ? [noPlace] : [];
    return [...super.getWeights(), mean, scale, noNumber, ...places, noRow];
  }

  protected buildLayerGraph(graph: AtbGraph, _kind: GraphKind, frames: string): string {
    const { frontAct } = this.audio;
    const centred = addPair(graph, 'ELEWISE_SUB', frames, this.mean.name, 'centred_frames');
    const normed = addPair(graph, 'ELEWISE_MUL', centred, this.scale.name, 'normed_frames');
    graph.addReshape(normed, 'frame_numbers', [dim(0, 1), 1]);
    const numbers = withRow(graph, 'frame_numbers', this.noNumber, 'frame_numbers_padded');
    const seen = gatherRows(graph, numbers, HALVED_SOUND.first, 'first_seen');
    graph.addReshape(seen, 'first_patches', [dim(0), dim(1, 2)]);
    const first = buildLinear(graph, this.first, 'first_patches', 'plane_0_out');
    let planes = addActivation(graph, frontAct, first, 'plane_0_act');
    for (const [index, conv] of this.others.entries()) {
      const padded = withRow(graph, planes, this.noPlace, `plane_${index}_padded`);
      planes = addActivation(graph, frontAct, conv.buildGraph(graph, padded), `plane_${index + 1}_act`);
    }
    const times = sideBySide(graph, planes, HALVED_SOUND.columns, 'times');
    const own = buildLinear(graph, this.out, times, 'front_out');
    return gatherRows(
      graph,
      withRow(graph, own, this.noRow, 'front_padded'),
      HALVED_SOUND.rows,
      'stretch_rows',
    );
  }
}
