import { rowsOf, transposed } from './weight-changes.js';
import { concatRows, type TensorRef, type Weights } from './weights.js';

/** A projection [heads * (keyRows + valueRows), inFeatures] that holds of each head what makes its keys, then its values. */
export interface HeadMatrices {
  /** The checkpoint's name of it. */
  readonly name: string;
  readonly heads: number;
  readonly keyRows: number;
  readonly valueRows: number;
  readonly inFeatures: number;
}

/**
 * The matrices of each head apart, for products that take them from one side and from the other: `keyUp`
 * [heads, inFeatures, keyRows], transposed, and `valueUp` [heads, valueRows, inFeatures]. Both are floats, whatever becomes
 * of other projections: the integers of a row share scales along inFeatures, over which `keyUp` does not sum.
 * Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_QUANT_METHOD.
 */
export function headMatrices(
  weights: Weights,
  { name, heads, keyRows, valueRows, inFeatures }: HeadMatrices,
): { readonly keyUp: TensorRef; readonly valueUp: TensorRef } {
  weights.requireFloats(name);
  const rows = keyRows + valueRows;
  const whole = weights.get(`${name}.weight`, [heads * rows, inFeatures]);
  const all = <T>(of: (firstRow: number) => T): [T, ...T[]] =>
    Array.from({ length: heads }, (_, head) => of(head * rows)) as [T, ...T[]];
  const keys = all((first) => transposed(rowsOf(whole, first, keyRows)));
  const values = all((first) => rowsOf(whole, first + keyRows, valueRows));
  return {
    keyUp: {
      ...concatRows(weights.path(`${name}.key_up`), keys),
      shape: [heads, inFeatures, keyRows],
    },
    valueUp: {
      ...concatRows(weights.path(`${name}.value_up`), values),
      shape: [heads, valueRows, inFeatures],
    },
  };
}
