import { type AtbGraph, BaseOperation } from '../graph/atb-graph.js';
import type { NodeHint } from '../graph/graph-spec.js';
import type { Linear } from '../weights/linear.js';
import type { TensorRef } from '../weights/weights.js';
import { CommonOpBuilder, CommonOpBuilderManager } from './manager.js';
import type { BuilderTensors, OpBuilder, ParamOf } from './types.js';

type Param = ParamOf<'LINEAR'>;
type Tensors = BuilderTensors['LINEAR'];

/** A linear to which adapters add is left to the builder that has both. */
const ofKind = ({ linear }: Param, isKind: boolean, wanted: string): true | string =>
  linear.adapters ? 'leaves adapters to AdaptedLinear' : isKind || `wants ${wanted}, found ${linear.desc}`;

@CommonOpBuilder()
export class FpLinear implements OpBuilder<'LINEAR'> {
  readonly category = 'LINEAR';

  isMatch(param: Param): true | string {
    return ofKind(param, param.linear.isFloat, 'a float weight');
  }

  build(graph: AtbGraph, { opName, linear }: Param, tensors: Tensors): void {
    const op = new BaseOperation('Linear', { transposeB: true, hasBias: linear.hasBias }, opName);
    graph.addOperation(op, [tensors.input, ...linear.weightNames()], [tensors.linearOut]);
  }
}

/** What passes may know of the offsets of integers. */
export const SYMMETRIC = { hint: { symmetric: true } } as const;

/** What the inputs of a product of integers with floats mean. */
export const integersHint = ({ desc, hasOffset }: Pick<Linear, 'desc' | 'hasOffset'>): NodeHint => ({
  ...(hasOffset ? { packedOffsets: true } : { symmetric: true }),
  ...(desc === 'W4A8_DYNAMIC' && { int8Activations: true }),
});

/**
 * Integers that become floats where they are multiplied. The input stays as it is; of W4A8_DYNAMIC a hint says that the
 * engine makes int8 of each row. ATB's own W4A8MatMul takes groups of 256 and gives f16 alone.
 */
@CommonOpBuilder()
export class ACLNNQuantBatchLinear implements OpBuilder<'LINEAR'> {
  readonly category = 'LINEAR';

  isMatch(param: Param): true | string {
    const { desc } = param.linear;
    const isKind = desc === 'W8A16' || desc === 'W4A16' || desc === 'W4A8_DYNAMIC';
    return ofKind(param, isKind, 'a W8A16, W4A16 or W4A8_DYNAMIC weight');
  }

  build(graph: AtbGraph, { opName, linear }: Param, tensors: Tensors): void {
    const { desc, hasBias, groupSize: quantGroupSize } = linear;
    const type = desc === 'W8A16' ? 'W8A16MatMul' : 'W4A16MatMul';
    const op = new BaseOperation(type, { transposeB: true, hasBias, quantGroupSize }, opName);
    const input = preparedInput(graph, opName, linear, tensors.input);
    const hint = integersHint(linear);
    graph.addOperation(op, [input, ...linear.weightNames()], [tensors.linearOut], { hint });
  }
}

/** Floats of 8 or 4 bits, which ATB has no products of on Atlas A2: an extension key says what the bytes hold. */
@CommonOpBuilder()
export class SmallFloatLinear implements OpBuilder<'LINEAR'> {
  readonly category = 'LINEAR';

  isMatch(param: Param): true | string {
    const { desc } = param.linear;
    return ofKind(param, desc === 'FP8' || desc === 'FP4', 'an FP8 or FP4 weight');
  }

  build(graph: AtbGraph, { opName, linear }: Param, tensors: Tensors): void {
    const { desc, hasBias, groupSize: quantGroupSize } = linear;
    const param = { transposeB: true, hasBias, quantGroupSize, weightNumbers: 'floats' } as const;
    const op = new BaseOperation(desc === 'FP4' ? 'W4A16MatMul' : 'W8A16MatMul', param, opName);
    graph.addOperation(op, [tensors.input, ...linear.weightNames()], [tensors.linearOut], SYMMETRIC);
  }
}

/** The input as the weight wants it: its channels divided, and in the order in which the weight has them. */
function preparedInput(
  graph: AtbGraph,
  opName: string,
  { divisors, channels }: Linear,
  input: string,
): string {
  let prepared = input;
  if (divisors) {
    const divide = new BaseOperation('Elewise', { elewiseType: 'ELEWISE_REALDIV' }, `${opName}_divide`);
    graph.addOperation(divide, [prepared, divisors.name], [`${opName}_divided`]);
    prepared = `${opName}_divided`;
  }
  if (channels) {
    const gather = new BaseOperation('Gather', { axis: 1 }, `${opName}_sort`);
    graph.addOperation(gather, [prepared, channels.name], [`${opName}_sorted`]);
    prepared = `${opName}_sorted`;
  }
  return prepared;
}

/** Each token becomes int8 with a scale of its own, so integers are multiplied with integers. */
@CommonOpBuilder()
export class W8A8DynamicLinear implements OpBuilder<'LINEAR'> {
  readonly category = 'LINEAR';

  isMatch(param: Param): true | string {
    return ofKind(param, param.linear.desc === 'W8A8_DYNAMIC', 'a W8A8_DYNAMIC weight');
  }

  build(graph: AtbGraph, { opName, linear }: Param, tensors: Tensors): void {
    const [tokens, tokenScale] = [`${opName}_int8`, `${opName}_token_scale`];
    graph.addOperation(
      new BaseOperation('DynamicQuant', {}, `${opName}_quant`),
      [tensors.input],
      [tokens, tokenScale],
    );
    const { hasBias, dtype } = linear;
    const param = {
      transposeB: true,
      hasBias,
      isBF16: dtype === 'bf16',
      hasPerTokenScale: true,
      // f32 models are an extension anyway.
      ...(dtype === 'f32' && ({ outDataType: 'ACL_FLOAT' } as const)),
    };
    const [weight = '', scale = '', ...bias] = linear.weightNames();
    graph.addOperation(
      new BaseOperation('W8A8MatMul', param, opName),
      [tokens, weight, scale, tokenScale, ...bias],
      [tensors.linearOut],
      SYMMETRIC,
    );
  }
}

/** Inputs become int8 by a scale that was decided beforehand. */
@CommonOpBuilder()
export class ATBQuantLinear implements OpBuilder<'LINEAR'> {
  readonly category = 'LINEAR';

  isMatch(param: Param): true | string {
    return ofKind(param, param.linear.desc === 'W8A8', 'a W8A8 weight');
  }

  build(graph: AtbGraph, { opName, linear }: Param, tensors: Tensors): void {
    const { weight, scale, inputScale, inputOffset, sumBias, bias, dtype } = linear;
    const int8 = `${opName}_intermediate_input`;
    graph.addOperation(
      new BaseOperation('Elewise', { elewiseType: 'ELEWISE_QUANT_PER_CHANNEL' }, `${opName}_quant`),
      [tensors.input, ...namesOf(inputScale, inputOffset)],
      [int8],
    );
    const product = bias ? `${opName}_product` : tensors.linearOut;
    const hasBias = sumBias !== undefined;
    if (dtype === 'f32') {
      // f32 models are an extension anyway: ATB's Linear of int8 gives 16 bits.
      const param = { transposeB: true, hasBias, outDataType: 'ACL_FLOAT' } as const;
      const inputs = [int8, ...namesOf(weight, scale, sumBias)];
      graph.addOperation(new BaseOperation('W8A8MatMul', param, opName), inputs, [product]);
    } else {
      const outDataType = dtype === 'bf16' ? 'ACL_BF16' : 'ACL_FLOAT16';
      const param = { transposeB: true, hasBias, outDataType } as const;
      const inputs = [int8, ...namesOf(weight, sumBias, scale)];
      graph.addOperation(new BaseOperation('Linear', param, opName), inputs, [product]);
    }
    // ATB's Linear of int8 adds whole numbers alone.
    if (bias) {
      const add = new BaseOperation('Elewise', { elewiseType: 'ELEWISE_ADD' }, `${opName}_bias`);
      graph.addOperation(add, [product, bias.name], [tensors.linearOut]);
    }
  }
}

/** Of those that there are. */
export const namesOf = (...refs: readonly (TensorRef | undefined)[]): string[] =>
  refs.flatMap((ref) => ref?.name ?? []);

/** Adds whatever operations `linear` becomes: input [tokens, in] -> linearOut [tokens, out]. */
export function buildLinear(graph: AtbGraph, opName: string, linear: Linear, tensors: Tensors): void {
  CommonOpBuilderManager.getBuilder({ category: 'LINEAR', opName, linear }).build(graph, tensors);
}
