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
