import { type AtbGraph, BaseOperation, dim } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { BaseLayer } from '../../layers/decoder/base-layer.js';
import { gatherRows } from '../../layers/formulas/gather-rows.js';
import { addResidual } from '../../layers/formulas/residual.js';
import { gatherOrZeros, zeroRow } from '../../layers/linear/convolution.js';
import { buildLinear } from '../../layers/linear/linear-steps.js';
import { BaseLayerNorm } from '../../layers/norms/norms.js';
import { ROWS_ABOUT, STRIDED_SOUND } from '../../step-inputs/index.js';
import { Linear } from '../../weights/linear.js';
import { consecutiveRows } from '../../weights/row-orders.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import { addActivation } from '../base/audio/index.js';
import type { OmniasrConfig } from './config.js';

type AudioConfig = OmniasrConfig['audio'];

/** Of norms of convolutions' results, whose class leaves it to torch. */
const EPSILON = 1e-5;

/** What a convolution sees, [results, places, channels], as the checkpoint's kernels have it: [results, channels * places]. */
function channelByChannel(graph: AtbGraph, seen: string): string {
  const [turned, rows] = [`${seen}_turned`, `${seen}_rows`];
  graph.addOperation(new BaseOperation('Transpose', { perm: [0, 2, 1] }, turned), [seen], [turned]);
  graph.addReshape(turned, rows, [dim(0), dim(1, 2)]);
  return rows;
}

/**
 * Convolutions over samples and over each other's results, each normed and activated, come to the size of rows:
 * `sample_windows` [results, kernel] -> [rows, hidden] (arXiv:2006.11477, section 2).
 */
export class StridedFront extends BaseLayer {
  readonly convs: readonly Linear[];
  readonly norms: readonly BaseLayerNorm[];
  readonly norm: BaseLayerNorm;
  readonly projection: Linear;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor(
    weights: Weights,
    private readonly audio: AudioConfig,
  ) {
    // Its result comes before that of layer 0.
    super(-1, weights, 'front');
    const { widths, kernels, convBias: hasBias, hiddenSize, layerNormEps } = audio;
    const at = (level: number): Weights => weights.at('conv_layers').at(level);
    this.convs = widths.map((outFeatures, level) => {
      const kernel = [widths[level - 1] ?? 1, kernels[level] as number];
      const inFeatures = (kernel[0] as number) * (kernel[1] as number);
      return Linear.load(at(level), { parts: [{ name: 'conv', outFeatures, kernel }], inFeatures, hasBias });
    });
    this.norms = widths.map(
      (width, level) =>
        new BaseLayerNorm(at(level).at('layer_norm'), width, EPSILON, {
          ...{ hasBias: true, name: `conv_${level}_norm` },
        }),
    );
    const inFeatures = widths.at(-1) ?? 0;
    this.norm = new BaseLayerNorm(weights.at('layer_norm'), inFeatures, layerNormEps, { hasBias: true });
    this.projection = Linear.load(weights, {
      ...{ parts: [{ name: 'projection', outFeatures: hiddenSize }], inFeatures, hasBias: true },
    });
  }

  protected buildLayerGraph(graph: AtbGraph, _kind: GraphKind, samples: string): string {
    let rows = samples;
    for (const [level, conv] of this.convs.entries()) {
      const name = `conv_${level}`;
      const seen =
        level === 0
          ? rows
          : channelByChannel(graph, gatherRows(graph, rows, STRIDED_SOUND.rows(level), `${name}_seen`));
      const normed = this.norms[level]?.buildGraph(graph, buildLinear(graph, conv, seen, `${name}_out`));
      rows = addActivation(graph, this.audio.hiddenAct, normed as string, `${name}_act`);
    }
    return buildLinear(graph, this.projection, this.norm.buildGraph(graph, rows), 'projected_rows');
  }
}

/** Rows know their places by a convolution over many rows about them, of groups of channels: [rows, hidden], the same. */
export class ConvolvedPlaces extends BaseLayer {
  readonly convs: readonly Linear[];
  private readonly zeros: TensorRef;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor(
    weights: Weights,
    private readonly audio: AudioConfig,
  ) {
    // Behind the front, before the layers.
    super(0, weights, 'places');
    const { hiddenSize, groups, places } = audio;
    const size = hiddenSize / groups;
    this.convs = consecutiveRows(Array<number>(groups).fill(size)).map((rows, group) =>
      Linear.load(weights, {
        name: `conv_${group}`,
        parts: [{ name: 'conv', outFeatures: size, rows, kernel: [size, places] }],
        ...{ inFeatures: size * places, hasBias: true },
      }),
    );
    this.zeros = zeroRow(weights, size);
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.zeros];
  }

  protected buildLayerGraph(graph: AtbGraph, _kind: GraphKind, hidden: string): string {
    const size = this.audio.hiddenSize / this.audio.groups;
    const parts = this.convs.map((conv, group) => {
      const own = `group_${group}`;
      const slice = new BaseOperation(
        'Slice',
        { offsets: [0, group * size], size: [-1, size] },
        `${own}_slice`,
      );
      graph.addOperation(slice, [hidden], [own]);
      const seen = gatherOrZeros(graph, own, this.zeros, ROWS_ABOUT, `${own}_seen`);
      return buildLinear(graph, conv, channelByChannel(graph, seen), `${own}_out`);
    });
    const whole = parts.reduce((before, part, at) => {
      const all = `groups_to_${at}`;
      graph.addOperation(new BaseOperation('Concat', { concatDim: 1 }, all), [before, part], [all]);
      return all;
    });
    const placed = addActivation(graph, this.audio.hiddenAct, whole, 'places_act');
    return addResidual(graph, hidden, placed, 'placed_rows');
  }
}
