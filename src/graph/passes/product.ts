import type { GraphSpec, NodeSpec } from '../graph-spec.js';
import type { ProductActivation, RowNormType } from '../ops/fused-linear.js';
import type { AtbOpParams } from '../ops/index.js';
import { paramOf } from './pattern.js';

/** What normalises the rows of a product. */
export interface RowNorm {
  readonly type: RowNormType;
  readonly gamma: string;
  /** Of LayerNorm. */
  readonly beta?: string;
  readonly epsilon: number;
}

/** A Linear, product of integers or FusedLinear taken apart, so that passes can add to it in any order. */
export interface Product {
  readonly x: string;
  readonly norm?: RowNorm;
  readonly weight: string;
  /** Of a weight of integers. */
  readonly integers?: {
    readonly scale: string;
    /** Where they are not symmetric. */
    readonly offset?: string;
    readonly bits: 8 | 4;
    /** They are floats of so few bits. */
    readonly numbers?: 'floats';
    /** 0: one scale for each output channel. */
    readonly groupSize: number;
    /** Rows become int8, each with a scale of its own. */
    readonly int8Activations?: boolean;
  };
  readonly bias?: string;
  readonly activation?: ProductActivation;
  readonly residual?: string;
  readonly outDataType?: 'ACL_FLOAT';
}

/** The product that a node computes; none where FusedLinear cannot say the same. */
export function productOf(spec: GraphSpec, node: NodeSpec): Product | undefined {
  const linear = paramOf(node, 'Linear');
  const fused = paramOf(node, 'FusedLinear');
  if (linear) {
    const { transposeA, transposeB, hasBias, enAccum, outDataType = 'ACL_DT_UNDEFINED', matmulType } = linear;
    if (transposeA || !transposeB || enAccum || matmulType) return undefined;
    if (outDataType !== 'ACL_DT_UNDEFINED' && outDataType !== 'ACL_FLOAT') return undefined;
    const [x, weight, bias] = node.inputs as [string, string, string?];
    // A matrix that the graph itself computes may be one for each batch, which FusedLinear does not take.
    if (!spec.inputs.includes(weight)) return undefined;
    return {
      x,
      weight,
      ...(hasBias && bias !== undefined && { bias }),
      ...(outDataType === 'ACL_FLOAT' && { outDataType }),
    };
  }
  const integers = productOfIntegers(spec, node);
  if (integers || !fused) return integers;
  const [x, ...rest] = node.inputs as [string, ...string[]];
  const next = (): string => rest.shift() as string;
  const {
    normEpsilon: epsilon,
    normType: type = 'rms',
    hasBias,
    activation,
    hasResidual,
    outDataType,
  } = fused;
  const { weightBits: bits, quantGroupSize: groupSize = 0, int8Activations = false } = fused;
  const { hasOffset, weightNumbers } = fused;
  return {
    x,
    ...(epsilon !== undefined && {
      norm: { type, gamma: next(), ...(type === 'layer' && { beta: next() }), epsilon },
    }),
    weight: next(),
    ...(bits && {
      integers: {
        scale: next(),
        ...(hasOffset && { offset: next() }),
        bits,
        ...(weightNumbers === 'floats' && { numbers: weightNumbers }),
        groupSize,
        int8Activations,
      },
    }),
    ...(hasBias && { bias: next() }),
    ...(activation && activation !== 'none' && { activation }),
    ...(hasResidual && { residual: next() }),
    ...(outDataType === 'ACL_FLOAT' && { outDataType }),
  };
}

/** W8A16MatMul or W4A16MatMul, where a hint says that its offsets are zero or packed with the integers. */
function productOfIntegers(spec: GraphSpec, node: NodeSpec): Product | undefined {
  const w8a16 = paramOf(node, 'W8A16MatMul');
  const param = w8a16 ?? paramOf(node, 'W4A16MatMul');
  const [x, weight, scale, offset, bias] = node.inputs as [string, string, string, string, string?];
  const { symmetric = false, packedOffsets = false } = node.hint ?? {};
  if (!param?.transposeB || !(symmetric || packedOffsets) || !spec.inputs.includes(weight)) return undefined;
  return {
    x,
    weight,
    integers: {
      scale,
      ...(packedOffsets && { offset }),
      bits: w8a16 ? 8 : 4,
      ...(param.weightNumbers === 'floats' && { numbers: param.weightNumbers }),
      groupSize: param.quantGroupSize,
      ...(param.int8Activations && { int8Activations: true }),
    },
    ...(param.hasBias && bias !== undefined && { bias }),
    ...(param.outDataType === 'ACL_FLOAT' && { outDataType: param.outDataType }),
  };
}

/** The FusedLinear that computes a product. */
export function fusedLinear(name: string, product: Product, output: string): NodeSpec {
  const { x, norm, weight, integers, bias, activation, residual, outDataType } = product;
  const param: AtbOpParams['FusedLinear'] = {
    transposeB: true,
    hasBias: bias !== undefined,
    ...(norm && { normEpsilon: norm.epsilon }),
    ...(norm && norm.type !== 'rms' && { normType: norm.type }),
    ...(activation && { activation }),
    ...(residual !== undefined && { hasResidual: true }),
    ...(outDataType && { outDataType }),
    ...(integers && { weightBits: integers.bits }),
    ...(integers?.numbers && { weightNumbers: integers.numbers }),
    ...(integers?.groupSize && { quantGroupSize: integers.groupSize }),
    ...(integers?.offset !== undefined && { hasOffset: true }),
    ...(integers?.int8Activations && { int8Activations: true }),
  };
  const { scale, offset } = integers ?? {};
  const inputs = [x, norm?.gamma, norm?.beta, weight, scale, offset, bias, residual].filter(
    (input) => input !== undefined,
  );
  return { name, op: { type: 'FusedLinear', param }, inputs, outputs: [output] };
}
