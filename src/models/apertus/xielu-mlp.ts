import { type AtbGraph, BaseOperation } from '../../graph/atb-graph.js';
import type { ElewiseParam } from '../../graph/ops/elewise.js';
import { BaseUngatedMLP, type MLPConfig } from '../../layers/mlp/mlp.js';
import { constantWeight, flattened } from '../../weights/weight-changes.js';
import type { TensorRef, Weights } from '../../weights/weights.js';

const NEGATE = { elewiseType: 'ELEWISE_NEG' } as const;
const SIGMOID = { activationType: 'ACTIVATION_SIGMOID' } as const;
const LOG = { activationType: 'ACTIVATION_LOG' } as const;

/**
 * An MLP without a gate whose activation is xIELU (arXiv:2411.13010, section 3): beta x, to which is added a_p x^2 above 0,
 * and a_n (e^x - 1 - x) below, a_p and a_n being learned for each layer. ATB has no exponential: e^x - 1 is
 * 2 t / (1 - t) with t = tanh(x / 2).
 */
export class XieluMLP extends BaseUngatedMLP {
  private readonly alphaP: TensorRef;
  private readonly alphaN: TensorRef;
  private readonly beta: TensorRef;
  private readonly one: TensorRef;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED, WEIGHT_QUANT_*. */
  constructor(config: Omit<MLPConfig, 'hiddenAct'>, weights: Weights) {
    super(config, weights);
    const own = weights.at('act_fn');
    this.alphaP = own.get('alpha_p', [1]);
    this.alphaN = own.get('alpha_n', [1]);
    this.beta = flattened(own.get('beta', []));
    this.one = constantWeight('xielu.one', [1], 1);
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.alphaP, this.alphaN, this.beta, this.one];
  }

  protected override buildActivationGraph(graph: AtbGraph, x: string): string {
    const elewise = (out: string, param: ElewiseParam, ...inputs: readonly string[]): string => {
      graph.addOperation(new BaseOperation('Elewise', param, out), inputs, [out]);
      return out;
    };
    const add = (out: string, a: string, b: string) => elewise(out, { elewiseType: 'ELEWISE_ADD' }, a, b);
    const subtract = (out: string, a: string, b: string) =>
      elewise(out, { elewiseType: 'ELEWISE_SUB' }, a, b);
    const multiply = (out: string, a: string, b: string) =>
      elewise(out, { elewiseType: 'ELEWISE_MUL' }, a, b);
    const scale = (out: string, a: string, varAttr: number) =>
      elewise(out, { elewiseType: 'ELEWISE_MULS', mulsParam: { varAttr } }, a);

    const beta = this.beta.name;
    const above = 'x_above';
    graph.addOperation(
      new BaseOperation('Activation', { activationType: 'ACTIVATION_RELU' }, above),
      [x],
      [above],
    );
    const squared = multiply('squared', above, above);
    const bent = multiply('bent_above', squared, this.buildSoftplusGraph(graph, 'alpha_p', this.alphaP.name));

    const below = subtract('x_below', x, above);
    const tanh = elewise('tanh_half', { elewiseType: 'ELEWISE_TANH' }, scale('half_below', below, 0.5));
    const half = elewise(
      'half_exponential',
      { elewiseType: 'ELEWISE_REALDIV' },
      tanh,
      subtract('tanh_rest', this.one.name, tanh),
    );
    const curve = subtract('exponential_rest', scale('exponential', half, 2), below);
    const softplus = this.buildSoftplusGraph(graph, 'alpha_n', this.alphaN.name);
    const fallen = multiply('bent_below', curve, add('alpha_below', softplus, beta));
    return add('act_out', add('bent', bent, fallen), multiply('straight', x, beta));
  }

  /** ln(1 + e^x) = -ln(sigmoid(-x)), [1]. */
  private buildSoftplusGraph(graph: AtbGraph, name: string, input: string): string {
    const steps = [
      ['negative', new BaseOperation('Elewise', NEGATE, `${name}_negative`)],
      ['sigmoid', new BaseOperation('Activation', SIGMOID, `${name}_sigmoid`)],
      ['log', new BaseOperation('Activation', LOG, `${name}_log`)],
      ['softplus', new BaseOperation('Elewise', NEGATE, `${name}_softplus`)],
    ] as const;
    return steps.reduce((from, [step, operation]) => {
      graph.addOperation(operation, [from], [`${name}_${step}`]);
      return `${name}_${step}`;
    }, input);
  }
}
