import { type AtbGraph, BaseOperation } from '../graph/atb-graph.js';
import { GMM_QUANT, type GroupedMatmulParam } from '../graph/ops/grouped-matmul.js';
import { ACL_OF_DTYPE } from '../graph/ops/inputs.js';
import type { ExpertLinear } from '../weights/expert-linear.js';
import { integersHint, namesOf, SYMMETRIC } from './linear.js';
import { CommonOpBuilder, CommonOpBuilderManager } from './manager.js';
import type { BuilderTensors, OpBuilder, ParamOf } from './types.js';

type Param = ParamOf<'MOE'>;
type Tensors = BuilderTensors['MOE'];

/** One product of rows that are sorted by experts. */
type AddProduct = (graph: AtbGraph, opName: string, linear: ExpertLinear, rows: Rows) => void;

interface Rows {
  readonly input: string;
  /** i64 [experts] */
  readonly ends: string;
  readonly out: string;
}

/** Sorts the choices of all tokens by experts: the rows of `input`, the place of each choice, and where experts end. */
export function sortByExperts(
  graph: AtbGraph,
  opName: string,
  routing: { readonly topkNum: number; readonly expertNum: number },
  { input, chosen }: Pick<Tensors, 'input' | 'chosen'>,
): { readonly rows: string; readonly places: string; readonly ends: string } {
  const [rows, places] = [`${opName}_rows`, `${opName}_places`];
  const [counts, ends] = [`${opName}_counts`, `${opName}_ends`];
  const init = new BaseOperation('MoeInitRouting', routing, `${opName}_routing`);
  graph.addOperation(init, [input, chosen], [rows, places, counts]);
  const cast = { elewiseType: 'ELEWISE_CAST', outTensorType: 'ACL_INT64' } as const;
  graph.addOperation(new BaseOperation('Elewise', cast, `${opName}_counts_i64`), [counts], [ends]);
  return { rows, places, ends };
}

/** The choices of all tokens, sorted by experts, pass through the products of their experts (MindIE: MoeMlp). */
function addExperts(graph: AtbGraph, param: Param, tensors: Tensors, addProduct: AddProduct): void {
  const { opName, topK, gateUp, isGated, down, activation, clamp } = param;
  const routing = { topkNum: topK, expertNum: gateUp.experts };
  const { rows, places, ends } = sortByExperts(graph, opName, routing, tensors);
  const gateUpOut = `${opName}_gate_up_out`;
  addProduct(graph, `${opName}_gate_up`, gateUp, { input: rows, ends, out: gateUpOut });
  const actOut = `${opName}_act_out`;
  CommonOpBuilderManager.getBuilder({
    category: 'ACTIVATION',
    opName: `${opName}_activation`,
    kind: activation,
    isGated,
    isPack: isGated,
    clamp,
  }).build(graph, { input: gateUpOut, actOut });
  const downOut = `${opName}_down_out`;
  addProduct(graph, `${opName}_down`, down, { input: actOut, ends, out: downOut });
  graph.addOperation(
    new BaseOperation('MoeTokenUnpermute', {}, `${opName}_unpermute`),
    [downOut, places, tensors.probs],
    [tensors.expertsOut],
  );
}

const paramOf = (
  { hasBias, dtype, channels }: ExpertLinear,
  quantType: GroupedMatmulParam['quantType'],
): GroupedMatmulParam => ({
  transposeB: true,
  hasBias,
  quantType,
  outDataType: ACL_OF_DTYPE[dtype],
  ...(channels && { hasChannels: true }),
});

/** Why experts are of no use to a builder of these forms; true when they are. */
function wants({ gateUp, down }: Param, forms: readonly ExpertLinear['desc'][]): true | string {
  const other = [gateUp, down].find(({ desc }) => !forms.includes(desc));
  return other === undefined || `wants experts of ${forms.join(' or ')}, found ${other.desc}`;
}

@CommonOpBuilder()
export class FpExperts implements OpBuilder<'MOE'> {
  readonly category = 'MOE';

  isMatch(param: Param): true | string {
    return wants(param, ['FLOAT32', 'FLOAT16', 'BFLOAT16']);
  }

  build(graph: AtbGraph, param: Param, tensors: Tensors): void {
    addExperts(graph, param, tensors, (to, opName, linear, { input, ends, out }) => {
      const op = new BaseOperation('GroupedMatmul', paramOf(linear, GMM_QUANT.NONE), opName);
      const [weight = '', ...bias] = linear.weightNames();
      to.addOperation(op, [input, weight, ...bias, ends], [out]);
    });
  }
}

/** Integers, or floats of 8 and 4 bits, that become floats where they are multiplied; W4A8_DYNAMIC as in its linears. */
@CommonOpBuilder()
export class WeightQuantExperts implements OpBuilder<'MOE'> {
  readonly category = 'MOE';

  isMatch(param: Param): true | string {
    return wants(param, ['W8A16', 'W4A16', 'W4A8_DYNAMIC', 'FP8', 'FP4']);
  }

  build(graph: AtbGraph, param: Param, tensors: Tensors): void {
    addExperts(graph, param, tensors, (to, opName, linear, { input, ends, out }) => {
      const isPaired = linear.desc !== 'W8A16' && linear.desc !== 'FP8';
      const param = paramOf(linear, isPaired ? GMM_QUANT.W4A16_CHANNEL : GMM_QUANT.W8A16_CHANNEL);
      const numbers = linear.desc.startsWith('FP') ? ({ weightNumbers: 'floats' } as const) : {};
      const op = new BaseOperation('GroupedMatmul', { ...param, ...numbers }, opName);
      const [weight = '', scale = '', offset = '', ...bias] = linear.weightNames();
      const inputs = [input, weight, ...bias, scale, offset, ...namesOf(linear.channels), ends];
      to.addOperation(op, inputs, [out], { hint: integersHint(linear) });
    });
  }
}

/** Each row becomes int8 with a scale of its own. */
@CommonOpBuilder()
export class W8A8DynamicExperts implements OpBuilder<'MOE'> {
  readonly category = 'MOE';

  isMatch(param: Param): true | string {
    return wants(param, ['W8A8_DYNAMIC']);
  }

  build(graph: AtbGraph, param: Param, tensors: Tensors): void {
    addExperts(graph, param, tensors, (to, opName, linear, { input, ends, out }) => {
      const [rows, rowScale] = [`${opName}_int8`, `${opName}_row_scale`];
      to.addOperation(new BaseOperation('DynamicQuant', {}, `${opName}_quant`), [input], [rows, rowScale]);
      const op = new BaseOperation('GroupedMatmul', paramOf(linear, GMM_QUANT.W8A8_TOKEN), opName);
      const [weight = '', scale = '', ...bias] = linear.weightNames();
      const inputs = [rows, weight, ...bias, scale, rowScale, ends];
      to.addOperation(op, inputs, [out], SYMMETRIC);
    });
  }
}

/** Rows become int8 by a scale and an offset that were decided beforehand, for each expert. ATB has one for all experts. */
@CommonOpBuilder()
export class W8A8Experts implements OpBuilder<'MOE'> {
  readonly category = 'MOE';

  isMatch(param: Param): true | string {
    return wants(param, ['W8A8']);
  }

  build(graph: AtbGraph, param: Param, tensors: Tensors): void {
    addExperts(graph, param, tensors, (to, opName, linear, { input, ends, out }) => {
      const { sumBias, inputScale, inputOffset } = linear;
      const [weight = '', scale = ''] = linear.weightNames();
      const param = { ...paramOf(linear, GMM_QUANT.W8A8_CHANNEL), hasBias: sumBias !== undefined };
      const op = new BaseOperation('GroupedMatmul', { ...param, staticActivations: true }, opName);
      const inputs = [input, weight, ...namesOf(sumBias), scale, ...namesOf(inputScale, inputOffset), ends];
      to.addOperation(op, inputs, [out], SYMMETRIC);
    });
  }
}
