import { type AtbGraph, BaseOperation } from '../../graph/atb-graph.js';
import { Linear } from '../../weights/linear.js';
import { asVector, constantWeight } from '../../weights/weight-changes.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import { addBound } from '../formulas/clamp.js';
import { Module } from '../module.js';
import { buildLinear } from './linear-steps.js';

/** What a `ClippedLinear` is told. */
export interface ClippedLinearSizes {
  readonly inFeatures: number;
  readonly outFeatures: number;
  /** Whether there are bounds. */
  readonly clips: boolean;
  readonly rowOrder?: Int32Array | undefined;
}

interface Bounds {
  readonly min: TensorRef;
  readonly max: TensorRef;
  readonly zero: TensorRef;
}

/** `linear` without a bias, whose inputs and results are kept within bounds that the checkpoint has: a number each. */
export class ClippedLinear extends Module {
  readonly linear: Linear;
  private readonly input: Bounds | undefined;
  private readonly output: Bounds | undefined;

  /**
   * `name` names the operations. Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED,
   * WEIGHT_QUANT_*.
   */
  constructor(
    private readonly name: string,
    weights: Weights,
    { inFeatures, outFeatures, clips, rowOrder }: ClippedLinearSizes,
  ) {
    super();
    this.linear = Linear.load(weights, { parts: [{ name: 'linear', outFeatures, rowOrder }], inFeatures });
    const zero = constantWeight(weights.path('zero'), [1], 0);
    const bound = (name: string) => asVector(weights.get(name, []));
    const bounds = (of: string): Bounds | undefined =>
      clips ? { min: bound(`${of}_min`), max: bound(`${of}_max`), zero } : undefined;
    this.input = bounds('input');
    this.output = bounds('output');
  }

  override getWeights(): TensorRef[] {
    const bounds = [this.input, this.output].filter((each) => each !== undefined);
    const limits = bounds.flatMap(({ min, max }) => [min, max]);
    return [...super.getWeights(), ...limits, ...(bounds[0] ? [bounds[0].zero] : [])];
  }

  /** `input` [rows, in] -> `<name>_out` [rows, out]. */
  buildGraph(graph: AtbGraph, input: string): string {
    const { name, linear } = this;
    const out = `${name}_out`;
    const within = this.input ? addClip(graph, input, this.input, `${name}_in`) : input;
    const product = buildLinear(graph, linear, within, this.output ? `${name}_wide_out` : out);
    return this.output ? addClip(graph, product, this.output, out) : product;
  }
}

/**
 * Numbers of `input` beyond `bounds`, [1] each, become these, up to rounding: what they are beyond them is taken away.
 * ATB cannot choose among numbers of bf16.
 */
function addClip(graph: AtbGraph, input: string, { min, max, zero }: Bounds, out: string): string {
  const less = (a: string, b: string, name: string): string => {
    graph.addOperation(
      new BaseOperation('Elewise', { elewiseType: 'ELEWISE_SUB' }, `${name}_sub`),
      [a, b],
      [name],
    );
    return name;
  };
  const [above, below] = [less(input, max.name, `${out}_above`), less(input, min.name, `${out}_below`)];
  const bound = { limit: zero.name, bound: 0 };
  const excess = addBound(graph, 'ELEWISE_LESS', { input: above, ...bound }, `${out}_excess`);
  const lack = addBound(graph, 'ELEWISE_GREATER', { input: below, ...bound }, `${out}_lack`);
  return less(less(input, excess, `${out}_lowered`), lack, out);
}
