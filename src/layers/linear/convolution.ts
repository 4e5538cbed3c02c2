import { type AtbGraph, BaseOperation, dim } from '../../graph/atb-graph.js';
import { type ConvWindow, neighboursOf, TEXT_TAPS } from '../../step-inputs/index.js';
import { Linear } from '../../weights/linear.js';
import { constantWeight, flattened, inF32, transposed, withRowOrder } from '../../weights/weight-changes.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import { gatherRows } from '../formulas/gather-rows.js';
import { Module } from '../module.js';
import { buildLinear } from './linear-steps.js';

/** A convolution of each channel with itself over squares of rows: [rows, channels] -> [results, channels]. */
export class DepthwiseConv extends Module {
  private readonly weight: TensorRef;
  private readonly bias: TensorRef | undefined;

  /** `weights`: its own cursor, of [channels, 1, kernel, kernel]. Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH. */
  constructor(
    weights: Weights,
    channels: number,
    private readonly window: ConvWindow,
    hasBias = false,
  ) {
    super();
    const { kernel } = window;
    const taps = transposed(flattened(weights.get('weight', [channels, 1, kernel, kernel])));
    // The operation reads columns of taps.
    const order = Int32Array.from(
      { length: kernel * kernel },
      (_, at) => (at % kernel) * kernel + Math.floor(at / kernel),
    );
    this.weight = inF32(withRowOrder(taps, order));
    this.bias = hasBias ? inF32(weights.get('bias', [channels])) : undefined;
  }

  override getWeights(): TensorRef[] {
    return this.bias ? [this.weight, this.bias] : [this.weight];
  }

  /** Returns `out`. */
  buildGraph(graph: AtbGraph, input: string, out: string): string {
    const { window, weight, bias } = this;
    const { side, kernel, stride, before, outSide } = window;
    const param = { side, kernel, stride, before, outSide, hasBias: bias !== undefined };
    const tensors = [input, weight.name, ...(bias ? [bias.name] : [])];
    graph.addOperation(new BaseOperation('DepthwiseConv', param, out), tensors, [out]);
    return out;
  }
}

/** Patches [patches, colours * pixels] as rows of their pixels, patch by patch: `pixel_rows` [patches * pixels, colours]. */
export function buildPixelRows(graph: AtbGraph, input: string, colours: number, pixels: number): string {
  // A patch has its pixels colour by colour.
  graph.addReshape(input, 'colours', [dim(0), colours, pixels]);
  const transpose = new BaseOperation('Transpose', { perm: [0, 2, 1] }, 'pixels_transpose');
  graph.addOperation(transpose, ['colours'], ['pixels']);
  graph.addReshape('pixels', 'pixel_rows', [dim(0, 1), dim(2)]);
  return 'pixel_rows';
}

/** What a convolution over squares of rows makes of what. */
export interface SquareConvSizes {
  /** The checkpoint's, of [out, in, kernel, kernel]. */
  readonly name: string;
  readonly inSize: number;
  readonly outSize: number;
  /** `neighbours`: the step input that names rows of pictures of several sizes, in place of that of a square. */
  readonly window: ConvWindow | { readonly kernel: number; readonly neighbours: string };
  /** False when absent. */
  readonly hasBias?: boolean;
}

/** One row of zeros, which stands where there is none. */
export const zeroRow = (weights: Weights, size: number): TensorRef =>
  constantWeight(weights.path('zero_row'), [1, size], 0);

/** `rows` [n, size] with the row of zeros behind them, of which `wanted` are taken. Returns the name. */
export function gatherOrZeros(
  graph: AtbGraph,
  rows: string,
  { name: zeros }: TensorRef,
  wanted: string,
  out: string,
): string {
  const all = `${out}_and_zeros`;
  graph.addOperation(new BaseOperation('Concat', { concatDim: 0 }, all), [rows, zeros], [all]);
  return gatherRows(graph, all, wanted, out);
}

/**
 * A convolution over squares of rows, each result by one product: [rows, in] -> [results, out]. Its step input is
 * `neighbours` of the window.
 */
export class SquareConv extends Module {
  readonly conv: Linear;
  private readonly zeros: TensorRef;
  private readonly wanted: string;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor(weights: Weights, { name, inSize, outSize, window, hasBias = false }: SquareConvSizes) {
    super();
    const { kernel } = window;
    this.conv = Linear.load(weights, {
      parts: [{ name, outFeatures: outSize, kernel: [inSize, kernel, kernel] }],
      inFeatures: inSize * kernel * kernel,
      hasBias,
    });
    this.zeros = zeroRow(weights.at(name), inSize);
    this.wanted = 'neighbours' in window ? window.neighbours : neighboursOf(window);
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.zeros];
  }

  /** Returns `out`. Makes views, so it stands in a layer's graph. */
  buildGraph(graph: AtbGraph, input: string, out: string): string {
    return buildGatheredConv(graph, this.conv, this.zeros, this.wanted, input, out);
  }
}

/** One product of the rows around each, which `wanted` [results, places] names. Returns `out`; makes views. */
function buildGatheredConv(
  graph: AtbGraph,
  conv: Linear,
  zeros: TensorRef,
  wanted: string,
  input: string,
  out: string,
): string {
  const around = gatherOrZeros(graph, input, zeros, wanted, `${out}_around`);
  const [turned, rows] = [`${around}_transposed`, `${around}_rows`];
  // The checkpoint's kernel has its places behind its channels.
  graph.addOperation(new BaseOperation('Transpose', { perm: [0, 2, 1] }, turned), [around], [turned]);
  graph.addReshape(turned, rows, [dim(0), dim(1, 2)]);
  return buildLinear(graph, conv, rows, out);
}

/** A convolution over the tokens of each text: [tokens, in] -> [tokens, out]. Its step input is `textTaps`. */
export class TextConv extends Module {
  readonly conv: Linear;
  private readonly zeros: TensorRef;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor(
    weights: Weights,
    name: string,
    { inSize, outSize, taps }: { readonly inSize: number; readonly outSize: number; readonly taps: number },
  ) {
    super();
    this.conv = Linear.load(weights, {
      parts: [{ name, outFeatures: outSize, kernel: [inSize, taps] }],
      inFeatures: inSize * taps,
      hasBias: true,
    });
    this.zeros = zeroRow(weights.at(name), inSize);
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.zeros];
  }

  /** Returns `out`. Makes views, so it stands in a layer's graph. */
  buildGraph(graph: AtbGraph, input: string, out: string): string {
    return buildGatheredConv(graph, this.conv, this.zeros, TEXT_TAPS, input, out);
  }
}
