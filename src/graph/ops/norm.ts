import { describeValue } from '../../describe-value.js';
import { lacking, type ParamLack, unless } from './definition.js';
import type { Inputs, TensorDesc } from './inputs.js';

export type NormQuant = 'QUANT_UNDEFINED' | 'QUANT_INT8';

export const quantised = (x: TensorDesc): TensorDesc => ({ dtype: 'i8', shape: x.shape });

/** Outputs of a norm of x + residual: PRENORM gives the sum too, POSTNORM only when it also gives int8. */
export function residualOutputs(
  x: TensorDesc,
  isPre: boolean,
  quantType: NormQuant = 'QUANT_UNDEFINED',
): TensorDesc[] {
  const isQuant = quantType === 'QUANT_INT8';
  return [isQuant ? quantised(x) : x, ...(isPre || isQuant ? [x] : [])];
}

export function weightOf(inputs: Inputs, index: number): void {
  inputs.equal(`the size of input ${index}`, inputs.size(index, -1), inputs.size(0, -1));
}

const BLOCKS = { NORM: 'normParam', PRENORM: 'preNormParam', POSTNORM: 'postNormParam' } as const;

/** The block that `layerType` selects must be there; ATB refuses to make a norm of undefined type. */
export function normLacks(param: { readonly layerType: string }, prefix: string): ParamLack[] {
  const { layerType } = param;
  const selected = Object.entries(BLOCKS).find(([form]) => layerType === `${prefix}${form}`);
  if (selected) return lacking(param, selected[1], 'an object');
  const forms = Object.keys(BLOCKS).map((form) => `${prefix}${form}`);
  return [{ key: 'layerType', expected: `one of ${forms.join(', ')}`, found: describeValue(layerType) }];
}

/** What the block that `layerType` selects says. */
export interface NormBlock {
  readonly epsilon: number;
  readonly quantType?: string;
}

/**
 * What ATB asks of a norm's block when it makes the operation: rms_norm_operation.cpp, EpsilonCheck and
 * RmsNormTypeCheck; layer_norm_operation.cpp, NormParamCheck and its siblings.
 */
export const blockProblems = (
  { epsilon, quantType = 'QUANT_UNDEFINED' }: NormBlock,
  quants: readonly NormQuant[] = ['QUANT_UNDEFINED', 'QUANT_INT8'],
): string[] => [
  ...unless(epsilon > 0, `epsilon must be positive, found ${epsilon}`),
  ...unless(
    quants.some((known) => known === quantType),
    `quantType must be ${quants.join(' or ')}, found ${quantType}`,
  ),
];

/**
 * Rows of whole 32 bytes: rms_norm_operation.cpp, CheckLastDims; layer_norm_operation.cpp, LastDimCheck. `bytes` is of one
 * number, as ATB counts it.
 */
export function widthProblems(width: number, bytes: number): string[] {
  const numbers = 32 / bytes;
  return unless(width % numbers === 0, `rows must be of a multiple of ${numbers} numbers, found ${width}`);
}

/**
 * Weights are rows, of one shape where the result is int8, and scale and offset of int8 are one number each:
 * rms_norm_operation.cpp, NormInferShapeCheckImpl and its siblings, GammaBetaDescsCheck, QuantTensorsCheck;
 * layer_norm_operation.cpp, QuantTensorsCheck.
 */
export function weightProblems(
  inputs: readonly TensorDesc[],
  weights: readonly number[],
  scales: readonly number[] = [],
): string[] {
  const width = inputs[0]?.shape.at(-1);
  const [first] = weights.map((index) => inputs[index]?.shape.join());
  return [
    ...present(inputs, weights).flatMap(([index, { shape }]) =>
      unless(
        shape.at(-1) === width &&
          shape.slice(0, -1).every((size) => size === 1) &&
          (scales.length === 0 || shape.join() === first),
        `input ${index} must be [${width}]${scales.length > 0 ? ` and of the first weight's shape` : ''}, found [${shape}]`,
      ),
    ),
    ...present(inputs, scales).flatMap(([index, { shape }]) =>
      unless(shape.join() === '1', `input ${index} must be [1], found [${shape}]`),
    ),
  ];
}

/** Those inputs that are there; the number of them is checked elsewhere. */
const present = (inputs: readonly TensorDesc[], indices: readonly number[]): [number, TensorDesc][] =>
  indices.flatMap((index): [number, TensorDesc][] => {
    const found = inputs[index];
    return found === undefined ? [] : [[index, found]];
  });
